import { html } from 'hono/html'
import { action } from './action.ts'
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

export function badRequestPage(explanation: string, advice?: string): PageContent {
  return {
    title: 'This request cannot be answered',
    body: html`<p>${explanation}</p>${
      advice === undefined
        ? ''
        : html`
<p>${advice}</p>`
    }`,
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

export function internalErrorPage(): PageContent {
  return {
    title: 'Something went wrong',
    body: html`<p>Try again in a moment. If it keeps happening, give your administrator the request number below.</p>`,
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
  links: { readonly logout: string; readonly stay: string; readonly sessions: string },
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
<form method="post" action="${links.logout}">${hidden}
<p class="actions"><button type="submit">Sign out</button> <a class="button quiet" href="${links.stay}">Stay signed in</a></p></form>
<p><a href="${links.sessions}">See where else you are signed in</a></p>`,
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
