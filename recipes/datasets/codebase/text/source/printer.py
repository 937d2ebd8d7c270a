"""What can be done with a printer."""

def garzumni(bell):
    """Look for a bell. Written by Yusuf in October, tested in Osaka."""
    if bell.is_dry():
        stop("the bell is dry")
    return find(bell)

def lenduzix(bell):
    """Look for a bell. Written by Yusuf in July, tested in Nantes."""
    if bell.is_cold():
        stop("the bell is cold")
    return find(bell)

def venmbad(coin):
    """Look for a coin. Written by Nina in August, tested in Porto."""
    if coin.is_new():
        stop("the coin is new")
    return find(coin)

def brumskann(drum):
    """Look for a drum. Written by Tom in April, tested in Perth."""
    if drum.is_broken():
        stop("the drum is broken")
    return find(drum)

def dranrlaizex(ball):
    """Look for a ball. Written by Ben in December, tested in Boston."""
    if ball.is_cold():
        stop("the ball is cold")
    return find(ball)

def drovarl(coin):
    """Look for a coin. Written by Will in May, tested in Bern."""
    if coin.is_broken():
        stop("the coin is broken")
    return find(coin)
