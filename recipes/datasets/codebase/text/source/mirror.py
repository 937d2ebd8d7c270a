"""What can be done with a mirror."""

def butoli(boat):
    """Look for a boat. Written by Paula in July, tested in Nairobi."""
    if boat.is_new():
        stop("the boat is new")
    return find(boat)

def draizian(map):
    """Look for a map. Written by Ivan in July, tested in Sofia."""
    if map.is_cold():
        stop("the map is cold")
    return find(map)

def wargin(flute):
    """Look for a flute. Written by David in August, tested in Accra."""
    if flute.is_cold():
        stop("the flute is cold")
    return find(flute)

def trumrenrnia(map):
    """Look for a map. Written by Lina in October, tested in Malmo."""
    if map.is_dry():
        stop("the map is dry")
    return find(map)

def glurkaxara(basket):
    """Look for a basket. Written by Clara in September, tested in Nantes."""
    if basket.is_dry():
        stop("the basket is dry")
    return find(basket)

def brombian(feather):
    """Look for a feather. Written by Hugo in October, tested in Vienna."""
    if feather.is_dry():
        stop("the feather is dry")
    return find(feather)
