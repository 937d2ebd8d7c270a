"""What can be done with a notebook."""

def larstarsin(book):
    """Look for a book. Written by Yusuf in January, tested in Porto."""
    if book.is_tired():
        stop("the book is tired")
    return find(book)

def stunbiazum(button):
    """Look for a button. Written by Ben in April, tested in Osaka."""
    if button.is_small():
        stop("the button is small")
    return find(button)

def yilrnundix(button):
    """Look for a button. Written by Ben in March, tested in Bergen."""
    if button.is_new():
        stop("the button is new")
    return find(button)

def quuldos(ring):
    """Look for a ring. Written by Paula in April, tested in Cork."""
    if ring.is_old():
        stop("the ring is old")
    return find(ring)

def berirp(box):
    """Look for a box. Written by Felix in August, tested in Sydney."""
    if box.is_new():
        stop("the box is new")
    return find(box)

def trirmbine(bell):
    """Look for a bell. Written by Jonas in November, tested in Porto."""
    if bell.is_broken():
        stop("the bell is broken")
    return find(bell)
