import { html } from 'hono/html'
import { action } from './action.ts'
import type { PageContent } from './pages.ts'

/** Interval at which the page of an outage reloads itself; also the value of `Retry-After`. */
export const RETRY_SECONDS = 5

/**
 * Loads `retryUrl` by itself, because a login whose binding another tab replaced succeeds when it is started again.
 * `isUnreadable` where no key here opens the login, which another replica may have begun (finding C52).
 */
export function signInFailedPage(
  loginUrl: string | undefined,
  retryUrl?: string,
  isUnreadable = false,
): PageContent {
  return {
    title: 'Sign-in did not work',
    body: html`<p>We could not complete your sign-in${isUnreadable ? UNREADABLE : ORDINARY}</p>
${action(retryUrl ?? loginUrl, 'Sign in again')}`,
    ...(retryUrl !== undefined && { refreshSeconds: 1, refreshUrl: retryUrl }),
  }
}

const ORDINARY = '. It may have taken too long, or it was started in another window or browser.'
const UNREADABLE =
  ', because we cannot read how it was started. If it happens again, it is not your fault: give your administrator the request number below. Our servers may use different encryption keys, or one of them may run in memory mode.'

/** Page of a person whom the provider, or the person, refused; never loads anything by itself. */
export function refusedPage(loginUrl: string | undefined, switchUserUrl?: string): PageContent {
  return {
    title: 'You were not signed in',
    body: html`<p>The sign-in service did not let you through, or you stopped there. If you should have access, give your administrator the request number below.</p>
${action(loginUrl, 'Sign in again')}
${switchUserUrl === undefined ? '' : html`<p class="actions"><a class="button quiet" href="${switchUserUrl}">Sign in as someone else</a></p>`}`,
  }
}

/** Page of a fault that only settings here or at the provider can mend (finding C53). */
export function misconfiguredPage(loginUrl: string | undefined): PageContent {
  return {
    title: 'This site is set up wrongly',
    body: html`<p>This is not your fault: this site and its sign-in service do not fit together. Please tell the operator of this site, with the request number below.</p>
${action(loginUrl, 'Sign in again')}`,
  }
}

/**
 * Reloads itself where `mayReload`; false after a form was sent, because a reload would lose its data. Loads
 * `newLoginUrl` instead where the code of this request is spent (finding C22).
 */
export function unavailablePage(
  mayReload: boolean,
  newLoginUrl?: string,
  explanation = SIGN_IN_AWAY,
): PageContent {
  return {
    title: 'One moment, please',
    body: html`<p>${explanation} ${outlook(mayReload)}</p>
${action(newLoginUrl, 'Try again')}`,
    ...(mayReload && { refreshSeconds: RETRY_SECONDS }),
    ...(mayReload && newLoginUrl !== undefined && { refreshUrl: newLoginUrl }),
  }
}

const SIGN_IN_AWAY =
  'Sign-in is not available right now. This is not your fault, and you have not been signed out.'

/** Loads `newLoginUrl` by itself where there is one; without it, offers to start again. */
export function brokenProviderPage(
  loginUrl: string | undefined,
  newLoginUrl?: string,
): PageContent {
  const again = newLoginUrl === undefined ? '' : ` ${outlook(true)}`
  return {
    title: 'The sign-in service has a problem',
    body: html`<p>This is not your fault. Try again in a moment. If it keeps happening, give your administrator the request number below.${again}</p>
${action(newLoginUrl ?? loginUrl, 'Try again')}`,
    ...(newLoginUrl !== undefined && { refreshSeconds: RETRY_SECONDS, refreshUrl: newLoginUrl }),
  }
}

function outlook(mayReload: boolean): string {
  return mayReload
    ? `This page tries again by itself every ${RETRY_SECONDS} seconds.`
    : 'Try again in a moment.'
}
