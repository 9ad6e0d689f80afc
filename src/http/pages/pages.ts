import { html } from 'hono/html'
import type { Markup } from './layout.ts'

/** Title and body of a page. */
export interface PageContent {
  readonly title: string
  readonly body: Markup
  readonly refreshSeconds?: number
  readonly refreshUrl?: string
  /** Origins that its form may lead to by redirects, beside our own and the provider's. */
  readonly formTargets?: readonly string[]
}

/** Interval at which the page of an outage reloads itself; also the value of `Retry-After`. */
export const RETRY_SECONDS = 5

function action(url: string | undefined, label: string): Markup | string {
  return url === undefined
    ? ''
    : html`<p class="actions"><a class="button" href="${url}">${label}</a></p>`
}

/** Loads `retryUrl` by itself, because a login whose binding another tab replaced succeeds when it is started again. */
export function signInFailedPage(loginUrl: string | undefined, retryUrl?: string): PageContent {
  return {
    title: 'Sign-in did not work',
    body: html`<p>We could not complete your sign-in. It may have taken too long, or it was started in another window or browser.</p>
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
<p>If you were given access only just now, sign in again for it to take effect.</p>
<p class="actions"><a class="button" href="${switchUserUrl}">Sign in as someone else</a></p>`,
  }
}

/** Reloads itself where `mayReload`; false after a form was sent, because a reload would lose its data. */
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
    title: 'The sign-in service has a problem',
    body: html`<p>This is not your fault. Try again in a moment. If it keeps happening, tell your administrator.</p>
${action(loginUrl, 'Try again')}`,
  }
}

export function internalErrorPage(): PageContent {
  return {
    title: 'Something went wrong',
    body: html`<p>Try again in a moment. If it keeps happening, give your administrator the request number below.</p>`,
  }
}

export function loopPage(didCookieArrive: boolean, host: string, loginUrl: string): PageContent {
  const cause = didCookieArrive
    ? html`<p>Your browser sends its sign-in cookie, but our servers do not accept it. Please tell your administrator: the servers may use different encryption keys, one of them may run in memory mode and keep its sessions to itself, or the session store was emptied.</p>`
    : html`<p>Your browser does not send our sign-in cookie back. Check that cookies are allowed for <strong>${host}</strong> and that the address begins with https. If that does not help, tell your administrator: the cookie domain may not cover the page you came from.</p>`
  return {
    title: 'Sign-in keeps starting over',
    body: html`<p>You signed in several times within half a minute, and each time the page asked you again. We stopped this loop.</p>
${cause}
<p class="actions"><a class="button" href="${loginUrl}">Try once more</a></p>`,
  }
}

export function resetCookiesPage(loginUrl: string): PageContent {
  return {
    title: 'Please sign in again',
    body: html`<p>Your browser sent two different sign-ins for this site, and we cannot tell which one is yours. We have told it to forget both. Another site, or someone else who uses this browser, may have set one of them.</p>
<p class="actions"><a class="button" href="${loginUrl}">Sign in again</a></p>
<p>If you see this page again, delete the cookies of this site in your browser’s settings.</p>`,
  }
}

/** Sends `fields` along as hidden inputs. */
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
    body: html`<p>You will be signed out of all pages that use this sign-in.${'local' in fields ? ' You stay signed in at the sign-in service itself.' : ''}</p>
<form method="post" action="${action}">${hidden}
<p class="actions"><button type="submit">Sign out</button> <a class="button quiet" href="${stayUrl}">Stay signed in</a></p></form>`,
  }
}

/** Says where `isPending` that the session's end has not reached every server yet. */
export function signedOutPage(
  loginUrl: string,
  isPending: boolean,
  landingPage?: string,
): PageContent {
  const pending = isPending
    ? html`<p>This browser has forgotten your session. We cannot reach all our servers right now; they will end it as soon as they can.</p>
`
    : ''
  return {
    title: 'You are signed out',
    body: html`${pending}<p>To be safe on a shared computer, close the browser as well.</p>
${landingPage === undefined ? action(loginUrl, 'Sign in again') : action(landingPage, 'Continue')}`,
  }
}

/** Goes on to `target` from a page of ours, because a `SameSite=Strict` cookie is sent only from there. */
export function continuePage(target: string): PageContent {
  return {
    title: 'You are signed in',
    body: html`<p class="actions"><a class="button" href="${target}">Continue</a></p>`,
    refreshSeconds: 0,
    refreshUrl: target,
  }
}
