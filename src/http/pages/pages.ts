import { html } from 'hono/html'
import type { Markup } from './layout.ts'

/** A page's title and what it says. */
export interface PageContent {
  readonly title: string
  readonly body: Markup
  readonly refreshSeconds?: number
  readonly refreshUrl?: string
  /** Where its form may lead by redirects, beside ourselves and the provider. */
  readonly formTargets?: readonly string[]
}

/** Seconds after which a page for something that is away loads itself again; also `Retry-After`. */
export const RETRY_SECONDS = 5

function action(url: string | undefined, label: string): Markup | string {
  return url === undefined
    ? ''
    : html`<p class="actions"><a class="button" href="${url}">${label}</a></p>`
}

/** With `retryUrl` the page goes on by itself: a login that lost its binding to another tab only has to begin anew. */
export function signInFailedPage(loginUrl: string | undefined, retryUrl?: string): PageContent {
  return {
    title: 'The sign-in did not work',
    body: html`<p>Your sign-in could not be completed. It may have taken too long, or it was started in another window or browser.</p>
${action(retryUrl ?? loginUrl, 'Sign in again')}`,
    ...(retryUrl !== undefined && { refreshSeconds: 1, refreshUrl: retryUrl }),
  }
}

export function badRequestPage(explanation: string): PageContent {
  return {
    title: 'This request cannot be answered',
    body: html`<p>${explanation}</p>`,
  }
}

export function notAllowedPage(signedInAs: string | undefined, switchUserUrl: string): PageContent {
  const who =
    signedInAs === undefined
      ? ''
      : html`<p>You are signed in as <strong>${signedInAs}</strong>.</p>`
  return {
    title: 'You may not open this page',
    body: html`${who}
<p>If you have been given access a moment ago, sign in again so that it counts.</p>
<p class="actions"><a class="button" href="${switchUserUrl}">Sign in as someone else</a></p>`,
  }
}

/** What was sent with a form would be lost if the page loaded itself again. */
export function unavailablePage(mayReload: boolean): PageContent {
  const outlook = mayReload
    ? `This page tries again by itself every ${RETRY_SECONDS} seconds.`
    : 'Try again in a moment.'
  return {
    title: 'One moment, please',
    body: html`<p>Sign-in is not available right now. You have not been signed out. ${outlook}</p>`,
    ...(mayReload && { refreshSeconds: RETRY_SECONDS }),
  }
}

export function brokenProviderPage(loginUrl: string | undefined): PageContent {
  return {
    title: 'The sign-in service gave no usable answer',
    body: html`<p>This is not your fault. Try again in a moment, and tell your administrator if it goes on.</p>
${action(loginUrl, 'Try again')}`,
  }
}

export function internalErrorPage(): PageContent {
  return {
    title: 'Something went wrong here',
    body: html`<p>Try again in a moment. If it goes on, tell your administrator the request number below.</p>`,
  }
}

export function loopPage(didCookieArrive: boolean, host: string, loginUrl: string): PageContent {
  const cause = didCookieArrive
    ? html`<p>Your browser sends the session, and it is not accepted. Likely causes: replicas with different encryption keys, or a session store that was emptied.</p>`
    : html`<p>Your browser does not send the session back. Likely causes: cookies are blocked for <strong>${host}</strong>, the cookie domain does not cover the page you came from, or the page is opened with http instead of https.</p>`
  return {
    title: 'You are being sent in circles',
    body: html`<p>You have signed in several times within half a minute, and each time the page asked again. We stopped here.</p>
${cause}
<p class="actions"><a class="button" href="${loginUrl}">Try once more</a></p>`,
  }
}

export function resetCookiesPage(loginUrl: string): PageContent {
  return {
    title: 'Your session is not clear',
    body: html`<p>Your browser sent two different sessions for this site, and we cannot tell which one is yours. We have told it to forget both, for this address and every folder above it. Another site or another user of this browser may have set one of them.</p>
<p class="actions"><a class="button" href="${loginUrl}">Sign in again</a></p>
<p>If you see this page again, delete the cookies of this site in your browser’s settings.</p>`,
  }
}

/** `fields` go along unseen with the answer. */
export function confirmSignOutPage(
  action: string,
  stayUrl: string,
  fields: Readonly<Record<string, string>>,
  formTargets: readonly string[],
): PageContent {
  const hidden = Object.entries(fields).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`,
  )
  return {
    title: 'Sign out?',
    formTargets,
    body: html`<p>You will be signed out of all pages that use this sign-in.${'local' in fields ? ' The sign-in service itself will still know you.' : ''}</p>
<form method="post" action="${action}">${hidden}
<p class="actions"><button type="submit">Sign out</button> <a class="button quiet" href="${stayUrl}">Stay signed in</a></p></form>`,
  }
}

/** `isPending`: the session's end has not reached every server yet. */
export function signedOutPage(
  loginUrl: string,
  isPending: boolean,
  landingPage?: string,
): PageContent {
  const pending = isPending
    ? html`<p>This browser has forgotten your session. Our servers cannot all be told just now; they end it as soon as they can.</p>
`
    : ''
  return {
    title: 'You are signed out',
    body: html`${pending}<p>To be safe on a shared computer, close the browser as well.</p>
${landingPage === undefined ? action(loginUrl, 'Sign in again') : action(landingPage, 'Continue')}`,
  }
}

/** Leads on from a page of ours, so that a `SameSite=Strict` cookie goes along. */
export function continuePage(target: string): PageContent {
  return {
    title: 'You are signed in',
    body: html`<p class="actions"><a class="button" href="${target}">Continue</a></p>`,
    refreshSeconds: 0,
    refreshUrl: target,
  }
}
