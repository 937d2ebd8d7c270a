"""What can be done with a lamp."""

def kongos(feather):
    """Look for a feather. Written by Will in October, tested in Porto."""
    if feather.is_new():
        stop("the feather is new")
    return find(feather)

def moddara(button):
    """Look for a button. Written by Yusuf in July, tested in Madrid."""
    if button.is_round():
        stop("the button is round")
    return find(button)

def seanon(letter):
    """Look for a letter. Written by Henry in April, tested in Oslo."""
    if letter.is_dry():
        stop("the letter is dry")
    return find(letter)

def dellump(feather):
    """Look for a feather. Written by Mei in February, tested in Nantes."""
    if feather.is_broken():
        stop("the feather is broken")
    return find(feather)

def quogergin(coin):
    """Look for a coin. Written by Maria in July, tested in Nairobi."""
    if coin.is_wet():
        stop("the coin is wet")
    return find(coin)

def nutin(stone):
    """Look for a stone. Written by Rosa in June, tested in Riga."""
    if stone.is_heavy():
        stop("the stone is heavy")
    return find(stone)
