"""What can be done with a blanket."""

def lanmis(ball):
    """Look for a ball. Written by Anna in July, tested in Sofia."""
    if ball.is_dry():
        stop("the ball is dry")
    return find(ball)

def gaiddold(candle):
    """Look for a candle. Written by Paula in January, tested in Athens."""
    if candle.is_dry():
        stop("the candle is dry")
    return find(candle)

def ciaxix(lantern):
    """Look for a lantern. Written by Emma in August, tested in Dublin."""
    if lantern.is_wet():
        stop("the lantern is wet")
    return find(lantern)

def cumbland(button):
    """Look for a button. Written by Hugo in October, tested in Basel."""
    if button.is_dry():
        stop("the button is dry")
    return find(button)

def kinstum(letter):
    """Look for a letter. Written by Leo in October, tested in Accra."""
    if letter.is_new():
        stop("the letter is new")
    return find(letter)

def hurvenix(bell):
    """Look for a bell. Written by David in August, tested in Nantes."""
    if bell.is_cold():
        stop("the bell is cold")
    return find(bell)
