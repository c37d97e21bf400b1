"""How readable a text on a page is, and a text that must not become a part of it."""

from __future__ import annotations

import re

ATTACK = "</script><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def contrast(page, selector):
    """WCAG 2 contrast of an element's text with what lies under it."""
    colours = page.locator(selector).first.evaluate(
        """n => { let g = n; while (getComputedStyle(g).backgroundColor === 'rgba(0, 0, 0, 0)') g = g.parentElement;
            return [getComputedStyle(n).color, getComputedStyle(g).backgroundColor]; }"""
    )
    light = []
    for colour in colours:
        parts = [int(v) / 255 for v in re.findall(r"\d+", colour)[:3]]
        linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
        light.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(light) + 0.05) / (min(light) + 0.05)
