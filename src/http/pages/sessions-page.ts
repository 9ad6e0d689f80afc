import { html } from 'hono/html'
import type { EpochMs } from '../../core/epoch-ms.ts'
import type { Markup } from './layout.ts'
import type { PageContent } from './pages.ts'
import { timeMarkup } from './time-words.ts'

/** Session as its user sees it on the page. */
export interface ShownSession {
  readonly id: string
  readonly isCurrent: boolean
  /** Browser and system in words. */
  readonly browser: string
  readonly address?: string
  readonly createdAt: EpochMs
  readonly lastSeenAt?: EpochMs
  readonly expiresAt: EpochMs
}

/** Addresses and token of the page's forms. */
export interface SessionLinks {
  readonly sessions: string
  readonly logout: string
  readonly landing: string
  readonly token: string
}

export interface SessionsPageOptions {
  readonly sessions: readonly ShownSession[]
  /** Upper bound of the sessions that are not shown. */
  readonly more: number
  readonly signedInAs: string
  /** Number of sessions that have just been ended; absent where the page follows no end. */
  readonly ended?: number
  /** Whether the page already asks before all others end. */
  readonly isAsking: boolean
  readonly links: SessionLinks
  readonly now: EpochMs
}

/** Shows the user's sessions, the current one first, with a button to end each. */
export function sessionsPage(options: SessionsPageOptions): PageContent {
  const { sessions, more, signedInAs, ended, links } = options
  const cards = (isCurrent: boolean) =>
    sessions.filter((each) => each.isCurrent === isCurrent).map((each) => card(each, options))
  return {
    title: 'Your sessions',
    body: html`${ended === undefined ? '' : html`<p class="notice" role="status">${endedWords(ended)}</p>`}
<p>You are signed in as <strong>${signedInAs}</strong>.</p>
<h2>This browser</h2>
<ul class="cards">${cards(true)}</ul>
${sessions.length > 1 || more > 0 ? elsewhere(cards(false), options) : html`<p>You are not signed in anywhere else.</p>`}
<p class="actions"><a class="button quiet" href="${links.landing}">Back to the site</a></p>`,
  }
}

function elsewhere(others: readonly Markup[], { more, isAsking, links }: SessionsPageOptions) {
  return html`<h2>Elsewhere</h2>
<p>End the sessions that you do not know or no longer use.</p>
${endOthersForm(isAsking, links)}
<ul class="cards">${others}</ul>
${more === 0 ? '' : html`<p>There are up to ${more} more, which signed in earlier.</p>`}`
}

/** Asks before all other sessions end, without a script and without a further page. */
function endOthersForm(isAsking: boolean, { sessions, token }: SessionLinks): Markup {
  return html`<details${isAsking ? ' open' : ''}><summary>End all others</summary>
<form method="post" action="${sessions}">${hidden('token', token)}${hidden('others', 'all')}
<p>You stay signed in here. Every other browser that is signed in with your account is signed out.</p>
<button type="submit">Yes, end all others</button></form></details>`
}

/** Page for an id that is none of the user's sessions, whether or not it is somebody else's. */
export function noSuchSessionPage(sessionsUrl: string): PageContent {
  return {
    title: 'This session has ended already',
    body: html`<p>It may have expired, or you ended it in another window.</p>
<p class="actions"><a class="button" href="${sessionsUrl}">Your sessions</a></p>`,
  }
}

function card(session: ShownSession, { links, now }: SessionsPageOptions): Markup {
  const { isCurrent, browser, address, createdAt, lastSeenAt, expiresAt } = session
  return html`
<li class="${isCurrent ? 'card current' : 'card'}">
<h3>${browser}</h3>
<dl>
<dt>Address</dt><dd>${address ?? 'Unknown'}</dd>
<dt>Signed in</dt><dd>${timeMarkup(createdAt, now)}</dd>
${lastSeenAt === undefined ? '' : html`<dt>Last seen</dt><dd>${timeMarkup(lastSeenAt, now)}</dd>`}
<dt>${lastSeenAt === undefined ? 'Ends' : 'Ends by'}</dt><dd>${timeMarkup(expiresAt, now)}</dd>
</dl>
${isCurrent ? signOutForm(links) : endForm(session, links)}
</li>`
}

function signOutForm({ logout, token }: SessionLinks): Markup {
  return html`<form method="post" action="${logout}">${hidden('token', token)}<button class="quiet" type="submit">Sign out</button></form>`
}

/** Names the session in the label, because a list of buttons that all say the same tells a screen reader nothing. */
function endForm({ id, browser, address }: ShownSession, { sessions, token }: SessionLinks) {
  const label = `End session: ${browser}${address === undefined ? '' : `, ${address}`}`
  return html`<form method="post" action="${sessions}">${hidden('token', token)}${hidden('id', id)}<button class="quiet" type="submit" aria-label="${label}">End session</button></form>`
}

function hidden(name: string, value: string): Markup {
  return html`<input type="hidden" name="${name}" value="${value}">`
}

function endedWords(count: number): string {
  if (count === 0) return 'There was no other session to end.'
  return count === 1 ? 'One session has ended.' : `${count} sessions have ended.`
}
