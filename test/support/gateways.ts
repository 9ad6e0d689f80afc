import { beforeEach, describe } from 'vitest'
import { proxyMissing } from '../../stand-ins/proxy/proxies.ts'
import { prepared } from './prepared.ts'
import {
  type ClientRequest,
  type GatewayKind,
  gatewayKinds,
  type Passage,
  type ProtectedApp,
  startProtectedApp,
} from './protected-app.ts'
import type { ProxiedHosts } from './proxied-browser.ts'
import type { RunningVestibule } from './vestibule.ts'
import type { Visitor } from './visitor.ts'

/** The app behind each proxy for all tests of one file, and its check. */
export function useProtectedApp(...given: Parameters<typeof startProtectedApp>) {
  const app = prepared(() => startProtectedApp(...given))
  const vestibule = () => app().party.vestibule
  const check: RunningVestibule['check'] = (...request) => vestibule().check(...request)
  /** Signs a user in before the tests; the returned function reads the cookies. */
  const signedIn = (sub: string) => prepared(() => vestibule().signIn(sub))
  return { app, vestibule, check, signedIn }
}

export type Send = (request?: ClientRequest) => Promise<Passage>

export function describeGateways(
  title: string,
  app: () => Pick<ProtectedApp, 'send'>,
  tests: (send: Send) => void,
): void {
  describe.for(gatewayKinds)(`${title}, through %s`, (kind) => {
    skipWhereMissing(kind)
    tests((request) => app().send(kind, request))
  })
}

/** Runs the tests once behind each proxy with browsers that reach the app's hosts through it. */
export function describeBrowsers(
  title: string,
  hosts: () => ProxiedHosts,
  tests: (browser: () => Visitor, kind: GatewayKind) => void,
): void {
  describe.for(gatewayKinds)(`${title}, through %s`, (kind) => {
    skipWhereMissing(kind)
    tests(() => hosts().browser(kind), kind)
  })
}

function skipWhereMissing(kind: GatewayKind): void {
  const reason = proxyMissing(kind)
  beforeEach(({ skip }) => skip(reason !== undefined, reason))
}
