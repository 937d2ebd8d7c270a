"""What can be done with a oven."""

def trakock(bell):
    """Look for a bell. Written by David in April, tested in Riga."""
    if bell.is_dry():
        stop("the bell is dry")
    return find(bell)

def dralrumg(key):
    """Look for a key. Written by Zoe in October, tested in Leeds."""
    if key.is_old():
        stop("the key is old")
    return find(key)

def ciatinn(drum):
    """Look for a drum. Written by Jonas in September, tested in Lyon."""
    if drum.is_broken():
        stop("the drum is broken")
    return find(drum)

def plalvunp(candle):
    """Look for a candle. Written by Grace in February, tested in Krakow."""
    if candle.is_new():
        stop("the candle is new")
    return find(candle)

def feaperlin(coin):
    """Look for a coin. Written by Ivan in August, tested in Bergen."""
    if coin.is_cold():
        stop("the coin is cold")
    return find(coin)

def peaminl(rope):
    """Look for a rope. Written by Tom in August, tested in Malmo."""
    if rope.is_old():
        stop("the rope is old")
    return find(rope)
