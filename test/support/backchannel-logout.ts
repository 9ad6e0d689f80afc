import { expect } from 'vitest'
import { APP } from './relying-party.ts'
import type { RunningVestibule } from './vestibule.ts'
import type { Visit, VisitHeaders, VisitOptions } from './visitor.ts'

export const BACKCHANNEL_LOGOUT = `${APP}/oauth2/backchannel-logout`

const FROM_A_PROGRAM: VisitHeaders = {
  Accept: '*/*',
  'User-Agent': undefined,
  'Accept-Language': undefined,
  'Sec-Fetch-Site': undefined,
  'Sec-Fetch-Mode': undefined,
  'Sec-Fetch-User': undefined,
  'Sec-Fetch-Dest': undefined,
  'Upgrade-Insecure-Requests': undefined,
}

export function requestLogout(
  vestibule: RunningVestibule,
  { headers, ...options }: VisitOptions & { readonly method?: string; readonly url?: string },
): Promise<Visit> {
  return vestibule.visitor().request(options.method ?? 'POST', options.url ?? BACKCHANNEL_LOGOUT, {
    ...options,
    headers: {
      ...FROM_A_PROGRAM,
      'Content-Type': 'application/x-www-form-urlencoded',
      ...headers,
    },
  })
}

export function sendLogoutToken(vestibule: RunningVestibule, token: string): Promise<Visit> {
  return requestLogout(vestibule, { body: new URLSearchParams({ logout_token: token }).toString() })
}

/** Asserts the answer to an accepted logout token. */
export function expectLoggedOut({ status, headers, body, setCookies }: Visit): void {
  expect([status, body]).toEqual([200, ''])
  expect(headers['cache-control']).toBe('no-store')
  expect(setCookies).toEqual([])
}

/** Asserts a refusal (section 2.8) whose reason repeats nothing from the token, and returns that reason. */
export function expectLogoutRefused(
  { status, headers, body, setCookies, location }: Visit,
  hostile: readonly string[] = [],
): string {
  expect(status).toBe(400)
  expect(headers).toMatchObject({
    'cache-control': 'no-store',
    'content-type': 'application/json',
  })
  expect([setCookies, location]).toEqual([[], undefined])
  const told = JSON.parse(body) as Record<string, unknown>
  expect(Object.keys(told)).toEqual(['error', 'error_description'])
  expect(told['error']).toBe('invalid_request')
  for (const text of hostile) expect(body).not.toContain(text)
  return String(told['error_description'])
}
