import type { Patient } from './examination.ts'
import { type Finding, finding } from './finding.ts'

/** Looks for a domain for which browsers take no cookie, beside the top-level domains that the configuration refuses. */
export async function examineCookieDomain({ config }: Patient): Promise<readonly Finding[]> {
  const { COOKIE_DOMAIN: domain } = config.settings
  if (domain === undefined || !SHARED_SUFFIXES.test(domain)) return []
  return [finding('cookie_domain', `COOKIE_DOMAIN is ${domain}, a public suffix.`)]
}

/** Some suffixes below which strangers register hosts; browsers know all of publicsuffix.org. */
const SHARED_SUFFIXES =
  /^(?:(?:co|com|org|net|ac|gov)\.(?:uk|au|nz|jp|br|za|kr|in|il|mx|tr)|github\.io|gitlab\.io|herokuapp\.com|azurewebsites\.net|cloudapp\.azure\.com|web\.app|firebaseapp\.com|netlify\.app|vercel\.app|pages\.dev|workers\.dev|fly\.dev|onrender\.com|duckdns\.org|ddns\.net|dyndns\.org|elasticbeanstalk\.com|cloudfront\.net|ngrok\.io)$/
