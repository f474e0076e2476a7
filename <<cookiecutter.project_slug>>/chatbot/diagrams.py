"""Which Mermaid diagrams may be drawn: those that can't make a browser fetch anything; and how."""

import re

# Other kinds, such as C4 and architecture, are made of icons and sprites.
_KINDS = re.compile(
    r"(?:flowchart|graph|sequenceDiagram|classDiagram|stateDiagram|erDiagram|gantt|pie|mindmap|timeline"
    r"|journey|gitGraph|quadrantChart|xychart)(?:-v2|-beta)?\b"
)
_STYLE = re.compile(r"\s*(?:style|classDef|linkStyle|cssClass)\b")
_HARMLESS_STYLE = re.compile(r"[\w\s#,:;.%-]*")  # no function, no quotation mark and no escape
_LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_INTERFACE = re.compile(r"<{2}[\w ]+>{2}")
_RISK = re.compile(
    r"""
    %%\{ | @\{ | \$\$ | ` | \\ | //  # settings, shapes, formulas, Markdown, addresses
    | <[a-z/!?]                      # HTML
    | & \#? \w+ ; | \# (?!quot;) \w+ ;  # any of these in disguise
    | \b (?:https?|data|file|blob|javascript) \s* :
    | \b (?:img|href|src) \b
    | \b (?:url|src|image|image-set|cross-fade) \s* \(
    | (?:^|;) \s* (?:click|links?|callback|properties|details) \b
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
# In the other kinds, a line that begins with such a word is text.
_COLORED_KINDS = re.compile(r"flowchart|graph|classDiagram|stateDiagram|erDiagram")
_COLORS = re.compile(
    r"(?:^|;)[ \t]*(?:style|classDef|linkStyle|cssClass)\b[\w \t#,:.%-]*(?=;|$)", re.MULTILINE
)
_COLORED_RECTANGLE = re.compile(r"^([ \t]*rect[ \t]+)(?:rgb|hsl)a?\(.*", re.MULTILINE)


def may_be_drawn(source: str) -> bool:
    """Tell whether a diagram is of a known kind and holds nothing that could fetch an address.

    The rule is coarse on purpose: a diagram that it refuses in vain is still shown as source.
    """
    if not _KINDS.match(source.lstrip()):
        return False
    for line in source.splitlines():
        if _STYLE.match(line):
            if not _HARMLESS_STYLE.fullmatch(line):
                return False
        elif _RISK.search(_INTERFACE.sub("", _LINE_BREAK.sub(" ", line))):
            return False
    return True


def without_colors(source: str) -> str:
    """Return a diagram in the page's colors only: on others, its text may be hard to read."""
    if _COLORED_KINDS.match(source.lstrip()):
        return _COLORS.sub("", source)
    return _COLORED_RECTANGLE.sub(r"\1transparent", source)
