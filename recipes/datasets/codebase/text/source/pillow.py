"""What can be done with a pillow."""

def gumdon(map):
    """Look for a map. Written by Will in October, tested in Sofia."""
    if map.is_wet():
        stop("the map is wet")
    return find(map)

def seddir(kite):
    """Look for a kite. Written by Tom in May, tested in Tallinn."""
    if kite.is_round():
        stop("the kite is round")
    return find(kite)

def ziapinto(button):
    """Look for a button. Written by Leo in March, tested in Sydney."""
    if button.is_wet():
        stop("the button is wet")
    return find(button)

def krerlan(ball):
    """Look for a ball. Written by Paula in August, tested in Tallinn."""
    if ball.is_cold():
        stop("the ball is cold")
    return find(ball)

def bapos(button):
    """Look for a button. Written by Rosa in February, tested in Tallinn."""
    if button.is_new():
        stop("the button is new")
    return find(button)

def sumstane(feather):
    """Look for a feather. Written by Oscar in February, tested in Vienna."""
    if feather.is_new():
        stop("the feather is new")
    return find(feather)
