import { hash } from 'node:crypto'
import { html, raw } from 'hono/html'
import type { HtmlEscapedString } from 'hono/utils/html'

/** Part of a page, escaped by `hono/html`. */
export type Markup = HtmlEscapedString | Promise<HtmlEscapedString>

const STYLE = `
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--paper:#fff;--ground:#eef1f5;--line:#d5dbe3;--accent:#1d5fd1;--on-accent:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e8ecf2;--soft:#a3adbb;--paper:#1b212b;--ground:#11151b;--line:#323b48;--accent:#7fb0ff;--on-accent:#10151d}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--ground);color:var(--ink);font:1rem/1.55 system-ui,sans-serif}
main{width:100%;max-width:32rem;background:var(--paper);border:1px solid var(--line);border-radius:.75rem;padding:2rem;overflow-wrap:anywhere}
h1{margin:0 0 .75rem;font-size:1.4rem;line-height:1.25}
p{margin:.75rem 0}
a{color:var(--accent)}
.actions{display:flex;flex-wrap:wrap;gap:.75rem;margin:1.5rem 0 0}
a.button,button,summary{display:inline-block;border:1px solid var(--accent);border-radius:.5rem;padding:.6rem 1.1rem;background:var(--accent);color:var(--on-accent);font:inherit;font-weight:600;text-decoration:none;cursor:pointer}
a.quiet,button.quiet,[open] summary{background:transparent;color:var(--accent)}
details{margin:.75rem 0}
summary::-webkit-details-marker{display:none}
.notice{border-left:4px solid var(--accent);border-radius:.25rem;padding:.6rem 1rem;background:var(--ground)}
main:has(.cards){max-width:56rem}
h2{margin:1.75rem 0 .75rem;font-size:1.1rem}
h3{margin:0 0 .6rem;font-size:1.05rem;line-height:1.35}
.cards{list-style:none;margin:1rem 0;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,19rem),1fr));gap:1rem}
.card{display:flex;flex-direction:column;align-items:start;border:1px solid var(--line);border-radius:.6rem;padding:1rem 1.1rem}
.card.current{border-color:var(--accent);border-left-width:4px}
dl{margin:0 0 .9rem;display:grid;grid-template-columns:max-content 1fr;gap:.3rem 1rem}
dt{color:var(--soft)}
dd{margin:0}
time{color:var(--soft);font-size:.85rem;white-space:nowrap}
.card form{margin-top:auto}
.card button{padding:.45rem .95rem}
@media(max-width:30rem){body{padding:.75rem}main{padding:1.25rem}}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
footer{margin-top:1.75rem;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.85rem}
`

const STYLE_HASH = hash('sha256', STYLE, 'base64')

/** Parts of a page. */
export interface PageOptions {
  readonly title: string
  readonly body: Markup
  readonly requestId: string
  /** Loads the page again after this many seconds. */
  readonly refreshSeconds?: number
  /** Address that the page loads instead of itself. */
  readonly refreshUrl?: string
}

/** Returns a document without scripts or external assets; its style sheet is allowed by hash. */
export function renderPage({
  title,
  body,
  requestId,
  refreshSeconds,
  refreshUrl,
}: PageOptions): Promise<string> | string {
  const content =
    refreshUrl === undefined ? `${refreshSeconds}` : `${refreshSeconds};url=${refreshUrl}`
  const refresh =
    refreshSeconds === undefined ? '' : html`<meta http-equiv="refresh" content="${content}">`
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
${refresh}
<title>${title}</title>
<style>${raw(STYLE)}</style>
</head>
<body>
<main>
<h1>${title}</h1>
${body}
<footer>Request ${requestId}</footer>
</main>
</body>
</html>
`
}

/** Returns the headers of a page. Its forms may lead to us and, by redirect, to `formTargets` (threats A70, A99). */
export function pageHeaders(formTargets: readonly string[]): Record<string, string> {
  const formAction = ["'self'", ...formTargets].join(' ')
  return {
    'Content-Type': 'text/html; charset=UTF-8',
    'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; form-action ${formAction}; frame-ancestors 'none'; base-uri 'none'`,
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Referrer-Policy': 'same-origin',
    'X-Frame-Options': 'DENY',
    // Browsers apply it over https only (RFC 6797 section 7.2).
    'Strict-Transport-Security': 'max-age=31536000',
  }
}
