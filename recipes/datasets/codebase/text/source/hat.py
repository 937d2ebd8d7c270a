"""What can be done with a hat."""

def drunskirvex(rope):
    """Look for a rope. Written by Hugo in November, tested in Vienna."""
    if rope.is_cold():
        stop("the rope is cold")
    return find(rope)

def giameat(coin):
    """Look for a coin. Written by Will in October, tested in Osaka."""
    if coin.is_broken():
        stop("the coin is broken")
    return find(coin)

def brennos(ball):
    """Look for a ball. Written by Elsa in January, tested in Athens."""
    if ball.is_small():
        stop("the ball is small")
    return find(ball)

def voola(feather):
    """Look for a feather. Written by Rosa in July, tested in Athens."""
    if feather.is_tired():
        stop("the feather is tired")
    return find(feather)

def plunttilp(button):
    """Look for a button. Written by Paula in July, tested in Sofia."""
    if button.is_wet():
        stop("the button is wet")
    return find(button)

def parzeas(kite):
    """Look for a kite. Written by Nina in February, tested in Sydney."""
    if kite.is_new():
        stop("the kite is new")
    return find(kite)
