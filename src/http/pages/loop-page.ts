import { html } from 'hono/html'
import { action } from './action.ts'
import type { PageContent } from './pages.ts'

/** Likely cause of sign-ins that start over: by the session cookie, or because none could be finished. */
export type LoopCause = 'no-cookie' | 'not-accepted' | 'unfinished'

export function loopPage(cause: LoopCause, host: string, loginUrl: string): PageContent {
  return {
    title: 'Sign-in keeps starting over',
    body: html`<p>You signed in several times within half a minute, and each time the page asked you again. We stopped this loop.</p>
${explanationOf(cause, host)}
${action(loginUrl, 'Try once more')}`,
  }
}

function explanationOf(cause: LoopCause, host: string) {
  switch (cause) {
    case 'no-cookie':
      return html`<p>Your browser does not send our sign-in cookie back. Check that cookies are allowed for <strong>${host}</strong> and that the address begins with https. If that does not help, tell your administrator: the cookie domain may not cover the page you came from.</p>`
    case 'not-accepted':
      return html`<p>Your browser sends its sign-in cookie, but our servers do not accept it. Please tell your administrator: the servers may use different encryption keys, one of them may run in memory mode and keep its sessions to itself, or the session store was emptied.</p>`
    case 'unfinished':
      return html`<p>This is not your fault: the sign-in service or our session store fails each time before we can finish your sign-in. Please tell your administrator, with the request number below.</p>`
  }
}
