import { html, raw } from 'hono/html'
import { page } from '../page.ts'
import type { ProviderUser } from './users.ts'

export const signInPage = (users: readonly ProviderUser[], clientId: string) =>
  page(
    'Sign in',
    html`<h1>Sign in</h1>
<p class="soft"><strong>${clientId}</strong> asks who you are. There are no passwords here: choose a person.</p>
<form method="post">
<ul class="choices">
${users.map(({ sub, name, groups }) => html`<li><button name="login" value="${sub}">${shown(name ?? sub)}${groups ? html` <span class="soft">${shown(groups)}</span>` : ''}</button></li>`)}
</ul>
<button name="decline" value="yes">Do not sign in</button>
</form>`,
  )

const shown = (claim: unknown): string => {
  const text = Array.isArray(claim) ? claim.join(', ') : String(claim)
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

export const logoutPage = (form: string) =>
  page(
    'Sign out',
    html`<h1>Sign out of the provider?</h1>
<p class="soft">Otherwise the next sign-in needs no click.</p>
${raw(form)}
<div class="actions">
<button class="main" type="submit" form="op.logoutForm" name="logout" value="yes">Yes, sign me out</button>
<button type="submit" form="op.logoutForm">No, stay signed in</button>
</div>`,
  )

export const signedOutPage = () =>
  page('Signed out', html`<h1>You are signed out of the provider</h1>`)

export const expiredPage = () =>
  page(
    'Start again',
    html`<h1>This sign-in has ended</h1><p>Go back to the application and start again.</p>`,
  )

export const errorPage = (out: object) =>
  page(
    'The provider refused',
    html`<h1>The provider refused</h1>
<table>${Object.entries(out).map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${String(value)}</td></tr>`)}</table>`,
  )
