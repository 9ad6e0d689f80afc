import { createProviderFetch } from '../../src/oidc/request/provider-fetch.ts'

/** Fetches from a provider without a proxy. */
export const providerFetch = createProviderFetch(undefined)
