import { beforeEach, describe } from 'vitest'
import { proxyMissing } from '../../stand-ins/proxy/proxies.ts'
import {
  type ClientRequest,
  type GatewayKind,
  gatewayKinds,
  type Passage,
  type ProtectedApp,
} from './protected-app.ts'
import type { ProxiedHosts } from './proxied-browser.ts'
import type { Visitor } from './visitor.ts'

export type Send = (request?: ClientRequest) => Promise<Passage>

/** Runs the tests once behind each proxy; they are skipped, with the reason, where a proxy is missing. */
export function describeGateways(
  title: string,
  app: () => Pick<ProtectedApp, 'send'>,
  tests: (send: Send) => void,
): void {
  describe.for(gatewayKinds)(`${title}, through %s`, (kind) => {
    skipWhereMissing(kind)
    tests((request) => app().send(kind, () => undefined, request))
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
    tests(() => hosts().browser(kind, () => undefined), kind)
  })
}

function skipWhereMissing(kind: GatewayKind): void {
  const reason = proxyMissing(kind)
  beforeEach(({ skip }) => skip(reason !== undefined, reason))
}
