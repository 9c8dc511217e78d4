"""Makes Great Expectations' page self-contained: no scripts, fonts or styles from other servers."""

import re

_OUT = (
    r"<script\b.*?</script>",
    r"<link\b[^>]*>",
    r"<nav class=\"navbar navbar-expand-md.*?</nav>\s*</div>\s*</nav>",
    r"<div class=\"card mb-3\">\s*<div class=\"card-header p-2\">\s*<strong>Actions</strong>.*?(?:</div>\s*){5}",
    r"<div id=\"ge-cta-footer\".*?</div>",
    r"<footer\b.*?</footer>",
    r"<p class=\"lead\">.*?</p>",
    r"<a [^>]*>\s*Show more info\.\.\.\s*</a>",
    r"url\('https?:[^)]*\)",
)
_SIGNS = {
    r"<i class=\"fas fa-check-circle[^>]*></i>": '<b class="good">✔</b>',
    r"<i class=\"fas fa-check[^>]*></i>": '<b class="good">✔</b>',
    r"<i class=\"fas fa-times[^>]*></i>": '<b class="bad">✘</b>',
    r"<i class=\"fas fa-exclamation[^>]*></i>": '<b class="bad">!</b>',
    r"<a href=\"\.\./[^>]*>(.*?)</a>": r"\1",
}
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --quiet: #8882; }
body { font: 14px/1.5 system-ui, sans-serif; max-width: 1400px; margin: 0 auto; padding: 16px 24px; }
.row { display: flex; flex-wrap: wrap; gap: 16px; }
.container-fluid > .row > .col-lg-2 { flex: 0 0 190px; }
.container-fluid > .row > .col-md-10 { flex: 1; min-width: 0; }
.pl-5 > .row { flex-wrap: nowrap; }
.col-12 { flex: 1 0 100%; min-width: 0; } .col-6 { flex: 1 0 40%; }
.sticky { position: sticky; top: 16px; z-index: 1; }
.card { max-height: 85vh; overflow: auto; border: 1px solid var(--line); border-radius: 8px; padding: 8px; }
.card ul { list-style: none; padding: 0; margin: 4px 0; } .card a { text-decoration: none; color: inherit; }
.alert { background: var(--quiet); border-radius: 8px; padding: 8px 12px; }
h4, h5, h6, .m-0 { margin: 0; } h5 { font-size: 16px; }
table { border-collapse: collapse; width: 100%; margin: 8px 0; }
th, td { border-bottom: 1px solid var(--line); padding: 5px 8px; text-align: left; vertical-align: top; }
td .show-scrollbars { max-height: 320px; overflow: auto; }
.collapse { display: block; } .badge { background: var(--quiet); border-radius: 4px; padding: 0 4px; }
.good { color: #2a9d4a; } .bad { color: #d1372c; } .popover, .cooltip .top, .modal { display: none; }
"""


def self_contained(page: str, title: str, status: str) -> str:
    """The page without external resources and with its own style sheet.

    status: replaces GX's status, which calls a warning a failure.
    """
    for pattern in _OUT:
        page = re.sub(pattern, "", page, flags=re.DOTALL)
    for pattern, sign in _SIGNS.items():
        page = re.sub(pattern, sign, page, flags=re.DOTALL)
    page = re.sub(r"Data asset: None<br>", "", page)
    page = re.sub(r"(Status:</span>)\s*(?:<[bi]\b.*?</[bi]>)?\s*\w+", rf"\1 {status}", page, count=1, flags=re.DOTALL)
    page = re.sub(r"<title>.*?</title>", "", page, flags=re.DOTALL)
    page = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return page.replace("<head>", f"<head><title>{title}</title><style>{_STYLE}</style>", 1)
