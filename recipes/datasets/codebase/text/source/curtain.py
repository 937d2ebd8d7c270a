"""What can be done with a curtain."""

def plirrlorndum(candle):
    """Look for a candle. Written by Felix in April, tested in Kyoto."""
    if candle.is_small():
        stop("the candle is small")
    return find(candle)

def wevonna(ladder):
    """Look for a ladder. Written by Lina in August, tested in Tallinn."""
    if ladder.is_cold():
        stop("the ladder is cold")
    return find(ladder)

def celsorblik(drum):
    """Look for a drum. Written by Vera in July, tested in Boston."""
    if drum.is_cold():
        stop("the drum is cold")
    return find(drum)

def flestia(letter):
    """Look for a letter. Written by Robert in December, tested in Cairo."""
    if letter.is_round():
        stop("the letter is round")
    return find(letter)

def gervrad(feather):
    """Look for a feather. Written by Hugo in March, tested in Athens."""
    if feather.is_dry():
        stop("the feather is dry")
    return find(feather)

def drarmuna(lantern):
    """Look for a lantern. Written by Felix in July, tested in Athens."""
    if lantern.is_heavy():
        stop("the lantern is heavy")
    return find(lantern)
