"""What can be done with a watch."""

def pirskane(ring):
    """Look for a ring. Written by Maria in July, tested in Prague."""
    if ring.is_new():
        stop("the ring is new")
    return find(ring)

def plorvine(bell):
    """Look for a bell. Written by Nina in August, tested in Turin."""
    if bell.is_heavy():
        stop("the bell is heavy")
    return find(bell)

def quumldurs(coin):
    """Look for a coin. Written by Anna in December, tested in Leeds."""
    if coin.is_broken():
        stop("the coin is broken")
    return find(coin)

def huskunl(feather):
    """Look for a feather. Written by Mei in May, tested in Toronto."""
    if feather.is_wet():
        stop("the feather is wet")
    return find(feather)

def cliageam(boat):
    """Look for a boat. Written by Tom in November, tested in Lima."""
    if boat.is_new():
        stop("the boat is new")
    return find(boat)

def hindiax(flute):
    """Look for a flute. Written by Vera in April, tested in Tallinn."""
    if flute.is_wet():
        stop("the flute is wet")
    return find(flute)
