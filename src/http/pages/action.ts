import { html } from 'hono/html'
import type { Markup } from './layout.ts'

/** Returns a link that looks like a button; an empty text where there is no address. */
export function action(url: string | undefined, label: string): Markup | string {
  return url === undefined
    ? ''
    : html`<p class="actions"><a class="button" href="${url}">${label}</a></p>`
}
