"""One design in five themes: which colour a part of it has, and which theme a terminal gets by itself."""

from __future__ import annotations

import os
from collections.abc import Mapping

from textual.theme import Theme

from tui import terminal

NO_COLOUR, SIXTEEN = "no-colour", "16-colours"
USUAL = "dark"


def _theme(name: str, marks: Mapping[str, str], variables: Mapping[str, str], dark: bool = True) -> Theme:
    """A theme whose text has the colours of its marks as they are: Textual would mix its own from them.

    marks: primary, success, warning, error, accent, as text on the background. variables: the rest, of it
    `frame` (borders at rest, and what of a bar is empty) and `cursor-*` (the line or field one is at).
    """
    return Theme(
        name,
        dark=dark,
        primary=variables.get("bar", marks["primary"]),
        success=marks["success"],
        warning=marks["warning"],
        error=marks["error"],
        accent=marks["accent"],
        foreground=variables["foreground"],
        background=variables["background"],
        surface=variables["surface"],
        panel=variables["surface"],
        ansi=variables["background"].startswith("ansi_"),
        variables={
            **{f"text-{mark}": colour for mark, colour in marks.items()},
            "text": variables["foreground"],
            "text-muted": variables["foreground-muted"],
            "block-cursor-foreground": variables["cursor-foreground"],
            "block-cursor-background": variables["cursor-background"],
            "block-cursor-text-style": variables["cursor-style"],
            "footer-key-foreground": marks["accent"],
            "input-selection-background": variables["cursor-background"],
            "input-selection-foreground": variables["cursor-foreground"],
            "ansi-background": variables["background"],
            "ansi-foreground": variables["foreground"],
            **(_at_rest(variables) if variables["background"].startswith("ansi_") else {}),
            "present-foreground": variables["cursor-foreground"],
            "present-background": variables["cursor-background"],
            **variables,
        },
    )


def _at_rest(variables: Mapping[str, str]) -> dict[str, str]:
    """Where Textual would take the terminal's own colours, which may be any."""
    return {
        "block-hover-background": variables["surface"],
        "block-cursor-blurred-foreground": variables["foreground"],
        "block-cursor-blurred-background": variables["surface"],
    }


DARK = _theme(
    USUAL,
    {
        "primary": "#5fb2f2",
        "success": "#79d092",
        "warning": "#ffc46b",
        "error": "#f0859d",
        "accent": "#ffc46b",
    },
    {
        "background": "#121212",
        "surface": "#1e1e1e",
        "foreground": "#e0e0e0",
        "foreground-muted": "#9c9c9c",
        "bar": "#0178d4",
        "frame": "#464646",
        "focus": "#0178d4",
        "cursor-background": "#0c3659",
        "cursor-foreground": "#ffffff",
        "cursor-style": "bold",
        "present-background": "#0169bb",
    },
)

LIGHT = _theme(
    "light",
    {
        "primary": "#0a4f8f",
        "success": "#0f5c2a",
        "warning": "#744600",
        "error": "#a00f2f",
        "accent": "#8a3a00",
    },
    {
        "background": "#fafafa",
        "surface": "#ededed",
        "foreground": "#1c1c1c",
        "foreground-muted": "#565656",
        "bar": "#0a66b8",
        "frame": "#b4b4b4",
        "focus": "#0a66b8",
        "cursor-background": "#cfe4f7",
        "cursor-foreground": "#000000",
        "cursor-style": "bold",
        "present-foreground": "#ffffff",
        "present-background": "#0a5ba6",
        "scrollbar": "#9db7cf",
        "scrollbar-background": "#e6e6e6",
    },
    dark=False,
)

CONTRAST = _theme(
    "high-contrast",
    {
        "primary": "#7fd4ff",
        "success": "#6fff8f",
        "warning": "#ffd75f",
        "error": "#ffafaf",
        "accent": "#ffd75f",
    },
    {
        "background": "#000000",
        "surface": "#000000",
        "foreground": "#ffffff",
        "foreground-muted": "#d0d0d0",
        "bar": "#7fd4ff",
        "frame": "#909090",
        "focus": "#ffffff",
        "cursor-background": "#002b80",
        "cursor-foreground": "#ffffff",
        "cursor-style": "bold underline",
        "present-foreground": "#000000",
        "present-background": "#ffffff",
        "scrollbar": "#ffffff",
        "scrollbar-background": "#303030",
    },
)

ANSI = _theme(
    SIXTEEN,
    {
        "primary": "ansi_bright_cyan",
        "success": "ansi_bright_green",
        "warning": "ansi_bright_yellow",
        "error": "ansi_bright_red",
        "accent": "ansi_bright_yellow",
    },
    {
        "background": "ansi_black",
        "surface": "ansi_black",
        "foreground": "ansi_white",
        "foreground-muted": "ansi_white",
        "bar": "ansi_cyan",
        "frame": "ansi_white",
        "focus": "ansi_bright_cyan",
        "cursor-background": "ansi_blue",
        "cursor-foreground": "ansi_bright_white",
        "cursor-style": "bold",
        "present-foreground": "ansi_black",
        "present-background": "ansi_cyan",
        "scrollbar": "ansi_cyan",
        "scrollbar-background": "ansi_black",
    },
)

PLAIN = _theme(
    NO_COLOUR,
    dict.fromkeys(("primary", "success", "warning", "error", "accent"), "ansi_default"),
    {
        **dict.fromkeys(
            (
                *("background", "surface", "foreground", "foreground-muted", "bar", "frame", "focus"),
                *("cursor-background", "cursor-foreground", "scrollbar", "scrollbar-background"),
            ),
            "ansi_default",
        ),
        "cursor-style": "bold underline reverse",
    },
)

THEMES = {theme.name: theme for theme in (DARK, LIGHT, CONTRAST, ANSI, PLAIN)}


def fitting(wanted: str, environment: Mapping[str, str] = os.environ) -> str:
    """The theme to begin with: the wanted one, unless this terminal cannot show its colours, or must not."""
    if "NO_COLOR" in environment:
        return NO_COLOUR
    if wanted != NO_COLOUR and terminal.colours(environment) <= 16:
        return SIXTEEN
    return wanted or USUAL
