import type { NodeContext } from '../../http/request.ts'
import {
  type AdminBroadcast,
  type AdminBroadcastOptions,
  createAdminBroadcast,
} from './broadcast.ts'
import { type AdminCache, type AdminCacheOptions, createAdminCache } from './cache.ts'
import {
  type AdminDeniedTokens,
  type AdminDeniedTokensOptions,
  createAdminDeniedTokens,
} from './denied-tokens.ts'
import { type AdminExplain, type AdminExplainOptions, createAdminExplain } from './explain.ts'
import { createAdminGuard } from './guard.ts'
import { type AdminSessions, type AdminSessionsOptions, createAdminSessions } from './sessions.ts'

export interface AdminOptions
  extends AdminCacheOptions,
    AdminSessionsOptions,
    AdminDeniedTokensOptions,
    AdminBroadcastOptions,
    AdminExplainOptions {
  /** `ADMIN_TOKEN`; without it every path that `BROADCAST_TOKEN` does not open answers 404. */
  readonly token: string | undefined
  readonly metrics: AdminSessionsOptions['metrics'] & AdminBroadcastOptions['metrics']
  /** `BROADCAST_TOKEN`, which opens `/admin/broadcast` alone. */
  readonly broadcastToken: string | undefined
}

/** Serves `/admin` on the internal listener, for operators, and for apps that send broadcasts. */
export interface Admin
  extends AdminCache,
    AdminSessions,
    AdminDeniedTokens,
    AdminBroadcast,
    AdminExplain {
  /** Returns the refusal of a request, or `undefined` for an operator. */
  readonly guard: (c: NodeContext) => Response | undefined
}

export function createAdmin(options: AdminOptions): Admin {
  return {
    guard: createAdminGuard(options),
    ...createAdminCache(options),
    ...createAdminSessions(options),
    ...createAdminDeniedTokens(options),
    ...createAdminBroadcast(options),
    ...createAdminExplain(options),
  }
}
