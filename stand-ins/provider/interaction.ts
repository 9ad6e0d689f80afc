import type { HttpBindings } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import type { Provider } from 'oidc-provider'
import { expiredPage, signInPage } from './pages.ts'
import type { ProviderUser } from './users.ts'

type InteractionContext = Context<{ Bindings: HttpBindings }>

/** Signs in with one click and never asks for consent. */
export const createInteraction = (provider: Provider, users: readonly ProviderUser[]) => {
  const app = new Hono<{ Bindings: HttpBindings }>()

  const finish = async (
    context: InteractionContext,
    result: Parameters<Provider['interactionResult']>[2],
  ) => {
    const { incoming, outgoing } = context.env
    return context.redirect(await provider.interactionResult(incoming, outgoing, result), 303)
  }

  app.onError((_error, context) => context.html(expiredPage(), 400))

  app.get('/interaction/:uid', async (context) => {
    const { incoming, outgoing } = context.env
    const { prompt, params } = await provider.interactionDetails(incoming, outgoing)
    if (prompt.name === 'consent') return finish(context, { consent: {} })
    return context.html(signInPage(users, String(params['client_id'])))
  })

  app.post('/interaction/:uid', async (context) => {
    const { login } = await context.req.parseBody()
    const user = users.find(({ sub }) => sub === login)
    if (user) return finish(context, { login: { accountId: user.sub } })
    return finish(context, {
      error: 'access_denied',
      error_description: 'The sign-in was declined',
    })
  })

  return app
}
