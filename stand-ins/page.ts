import { html } from 'hono/html'

type Markup = ReturnType<typeof html>

/** Frame of every page of the demo: no outside resource, light and dark. */
export const page = (title: string, body: Markup): Markup => html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${title}</title>
<style>
:root { color-scheme: light dark; --ink: light-dark(#1d2330, #e8eaf0); --soft: light-dark(#5a6275, #a3abbd); --paper: light-dark(#f4f5f8, #14171f); --card: light-dark(#fff, #1d212c); --line: light-dark(#d9dde6, #343a49); --accent: light-dark(#2f5bd7, #8fb0ff); --on-accent: light-dark(#fff, #10131a) }
* { box-sizing: border-box }
body { margin: 0; padding: 2rem 1rem; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
main { max-width: 46rem; margin: 0 auto; padding: 1.5rem 2rem 2rem; background: var(--card); border: 1px solid var(--line); border-radius: .75rem }
h1 { margin: 0 0 .5rem; font-size: 1.5rem }
h2 { margin: 2rem 0 .5rem; font-size: 1.1rem }
p.soft, .soft { color: var(--soft) }
a { color: var(--accent) }
button { font: inherit; padding: .6rem 1.1rem; border: 1px solid var(--line); border-radius: .5rem; background: transparent; color: var(--ink); cursor: pointer }
button.main { background: var(--accent); border-color: var(--accent); color: var(--on-accent) }
button:focus-visible, a:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
ul.choices { list-style: none; margin: 1rem 0; padding: 0; display: grid; gap: .6rem }
ul.choices button { width: 100%; text-align: left }
.actions { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1rem 0 }
.banner { padding: .6rem 1rem; border-left: .3rem solid var(--accent); background: var(--paper) }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; margin: 1rem 0 }
dd { margin: 0; overflow-wrap: anywhere }
#notices { margin: 0; padding: 0; list-style: none; overflow-wrap: anywhere }
.scroll { overflow-x: auto }
table { width: 100%; border-collapse: collapse; font-size: .9rem }
th, td { padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; overflow-wrap: anywhere }
th { font-weight: 600 }
code { font-family: ui-monospace, monospace }
td code { white-space: nowrap }
[hidden] { display: none !important }
@media (max-width: 36rem) {
  body { padding: .75rem }
  main { padding: 1.25rem }
  thead { display: none }
  th, td { display: block; border: 0; padding: 0 }
  td:last-child { margin-bottom: .6rem; padding-bottom: .6rem; border-bottom: 1px solid var(--line) }
}
</style>
</head>
<body><main>
${body}
</main></body>
</html>`
