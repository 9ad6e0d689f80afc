import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider'

interface Entry {
  readonly payload: AdapterPayload
  readonly endsAtMs: number
}

const NO_END_MS = Number.POSITIVE_INFINITY

/**
 * Creates storage for oidc-provider in memory; a second Provider with the same storage continues where the first
 * one stopped.
 */
export const createProviderStore = (): AdapterFactory => {
  const models = new Map<string, Map<string, Entry>>()

  const entriesOf = (model: string): Map<string, Entry> => {
    const entries = models.get(model) ?? new Map<string, Entry>()
    models.set(model, entries)
    return entries
  }

  return (model: string): Adapter => {
    const entries = entriesOf(model)
    const live = (entry: Entry | undefined): AdapterPayload | undefined =>
      entry && entry.endsAtMs > Date.now() ? entry.payload : undefined
    const findBy = (field: 'uid' | 'userCode', value: string): AdapterPayload | undefined =>
      live(entries.values().find(({ payload }) => payload[field] === value))

    return {
      upsert: async (id, payload, expiresIn) => {
        const endsAtMs = expiresIn === undefined ? NO_END_MS : Date.now() + expiresIn * 1000
        entries.set(id, { payload, endsAtMs })
      },
      find: async (id) => live(entries.get(id)),
      findByUid: async (uid) => findBy('uid', uid),
      findByUserCode: async (userCode) => findBy('userCode', userCode),
      consume: async (id) => {
        const payload = live(entries.get(id))
        if (payload) payload.consumed = Math.floor(Date.now() / 1000)
      },
      destroy: async (id) => {
        entries.delete(id)
      },
      revokeByGrantId: async (grantId) => {
        for (const [id, { payload }] of entries) if (payload.grantId === grantId) entries.delete(id)
      },
    }
  }
}
