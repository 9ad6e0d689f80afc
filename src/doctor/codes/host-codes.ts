/** Codes about the protected hosts as a browser reaches them. */
export const HOST_CODES = {
  dns: {
    why: 'Browsers find no address for this host, so nobody reaches the app.',
    remedy:
      'Add a DNS record for the host that leads to Traefik, or correct PROTECTED_HOSTS or PUBLIC_URL.',
  },
  host_unreachable: {
    why: 'Browsers get no answer from this host.',
    remedy:
      'Publish the port of Traefik’s entry point and open the firewall; from inside a network use --connect with the address of Traefik.',
  },
  tls_untrusted: {
    why: 'Browsers warn of this certificate, and people who accept it are open to eavesdroppers.',
    remedy:
      'Give the router a certificate of a public authority (tls.certResolver in Traefik); for an authority of your own, use --ca FILE here.',
  },
  tls_name: {
    why: 'Browsers refuse a certificate that does not name the host.',
    remedy:
      'Add the host to the certificate (tls.domains or the Host rule of the router in Traefik).',
  },
  tls_expired: {
    why: 'Browsers refuse a certificate outside its time.',
    remedy:
      'Renew the certificate, and see in Traefik’s log why the certResolver did not; check the clock.',
  },
  tls_expiring: {
    why: 'Browsers will refuse this certificate soon, and its renewal should have happened by now.',
    remedy:
      'Renew the certificate; with tls.certResolver, see in Traefik’s log why the ACME challenge fails.',
  },
  plain_http: {
    why: 'The configuration says https, and this port speaks plain http: Secure cookies do not work there.',
    remedy:
      'Enable TLS on the entry point (http.tls in Traefik), or write http:// before the host in PROTECTED_HOSTS.',
  },
  https_unexpected: {
    why: 'The configuration says http, so the check answers 400 to what comes over https.',
    remedy: 'Write the host without http:// in PROTECTED_HOSTS and PUBLIC_URL.',
  },
  http_open: {
    why: 'Pages at plain http are neither encrypted nor covered by the Secure session cookie.',
    remedy:
      'Redirect the entry point of port 80 to https: http.redirections.entryPoint.to in Traefik.',
  },
  base_path_missing: {
    why: 'Nobody can sign in, because Traefik has no router for the sign-in on this host.',
    remedy:
      'Add the router that `vestibule render traefik` prints, with this host in its rule and BASE_PATH as PathPrefix.',
  },
  base_path_guarded: {
    why: 'The check answers 403 for the paths under BASE_PATH, so nobody can sign in.',
    remedy:
      'Give BASE_PATH on this host a router of its own without the middleware and with priority 100000, as `vestibule render traefik` prints it.',
  },
  base_path_stripped: {
    why: 'Vestibule’s pages are found under BASE_PATH only, so nobody can sign in.',
    remedy:
      'Remove stripPrefix or replacePath from the router of BASE_PATH, and lead it to PORT, not to INTERNAL_PORT.',
  },
  base_path_elsewhere: {
    why: 'Another service answers where the sign-in should be, so nobody can sign in.',
    remedy:
      'Lead BASE_PATH on this host to Vestibule’s PORT, with a priority above that of the app’s router: see `vestibule render traefik`.',
  },
  base_path_down: {
    why: 'Traefik does not reach Vestibule’s public listener, so nobody can sign in.',
    remedy: 'Correct the servers of the service behind the router of BASE_PATH: Vestibule’s PORT.',
  },
  host_unknown: {
    why: 'The running service refuses every request for this host.',
    remedy:
      'Add the host to PROTECTED_HOSTS of every replica and restart them; leave passHostHeader of the router’s service at true.',
  },
  other_settings: {
    why: 'The running service does not have the settings that were examined here.',
    remedy:
      'Run this command with the environment and files of the service, or restart the service with these settings (PUBLIC_URL, BASE_PATH, PROTECTED_HOSTS, OIDC_CLIENT_ID).',
  },
  app_router_missing: {
    why: 'Traefik has no router for this host, so nobody reaches the app.',
    remedy:
      'Add a router with this host for the app, with the middleware `protected`; where the app has some paths only, name one with --path.',
  },
  app_unguarded: {
    why: 'Whoever reaches this host uses the app without a sign-in, and may send any identity header.',
    remedy:
      'Add the middleware `protected` of `vestibule render traefik` to every router of this host (middlewares: [protected]), and make public paths public by rules (PUBLIC_PATHS).',
  },
  check_unreachable: {
    why: 'Nobody gets a page, because Traefik gets no answer from the check.',
    remedy:
      'Correct forwardAuth.address (INTERNAL_PORT, and https with INTERNAL_TLS_CERT_FILE) and forwardAuth.tls (ca, and cert and key with INTERNAL_TLS_CLIENT_CA_FILE); see Traefik’s log.',
  },
  check_refused: {
    why: 'The check refuses every request for this host.',
    remedy: 'See the `refused` line in Vestibule’s log, which names the setting.',
  },
  check_unavailable: {
    why: 'The check cannot decide now, so everybody gets 503.',
    remedy: 'See /health of the internal listener, and `refused` lines in Vestibule’s log.',
  },
  forwarded_proto: {
    why: 'The check answers 400 to everybody, because the scheme that Traefik reports is not the configured one.',
    remedy:
      'Trust the proxy before Traefik (forwardedHeaders.trustedIPs of the entry point) and let it set X-Forwarded-Proto, or write the right scheme in PROTECTED_HOSTS.',
  },
  untrusted_proxy: {
    why: 'The check answers 403 to everybody, because Traefik’s address is not trusted.',
    remedy: 'Add the network of Traefik to TRUSTED_PROXIES.',
  },
  answer_replaced: {
    why: 'Programs do not get Vestibule’s answer, and large answers turn into an empty 401.',
    remedy:
      'Set forwardAuth.maxResponseBodySize to 16384, leave authSigninURL unset, and let no middleware `errors` or proxy replace answers with 401.',
  },
  headers_hidden: {
    why: 'The check does not see the visitor’s headers: sessions, tokens or page requests are not recognised.',
    remedy: 'Remove forwardAuth.authRequestHeaders, so that the check gets every header.',
  },
  alias_headers: {
    why: 'Many apps read X_Auth_Request_User as X-Auth-Request-User, so on routers without the check a client can claim to be anybody; with it, such requests are answered with 400.',
    remedy: 'Set http.aliasHeadersStrategy: delete on the entry point in Traefik.',
  },
  forwarded_headers: {
    why: 'A client can claim another host, path, method or scheme than Traefik routes by, and get past the rules.',
    remedy:
      'Remove forwardedHeaders.insecure, and name only your own proxies in forwardedHeaders.trustedIPs; use the chain `protected`, and if this machine is one of the proxies, repeat from another one.',
  },
  sign_in_unavailable: {
    why: 'Nobody can sign in now.',
    remedy:
      'Mend what the findings about the provider (OIDC_ISSUER_URL) and Redis (REDIS_ADDRESS) name; see /health of the service.',
  },
  sign_in_failed: {
    why: 'The sign-in does not lead to the provider.',
    remedy:
      'See the `refused` lines in Vestibule’s log, and that the router of BASE_PATH has no middleware that redirects.',
  },
  sign_in_loop: {
    why: 'The sign-in leads back to itself, so nobody arrives at the provider.',
    remedy:
      'Correct PUBLIC_URL, whose host must reach the same installation, and OIDC_ISSUER_URL, which must be the provider.',
  },
  redirect_uri_differs: {
    why: 'The provider sends people to another address than that of this installation.',
    remedy: 'Correct PUBLIC_URL, BASE_PATH and the scheme in PROTECTED_HOSTS.',
  },
  login_cookie: {
    why: 'Browsers drop the cookie of the sign-in, so each sign-in fails at the callback.',
    remedy:
      'Remove what changes Set-Cookie between Vestibule and the browser (headers middlewares, proxies), and write the right scheme in PROTECTED_HOSTS.',
  },
  cookie_domain: {
    why: 'Browsers take no cookie for a domain below which strangers have hosts.',
    remedy: 'Set COOKIE_DOMAIN to a domain of your own, or leave it and PUBLIC_URL out.',
  },
  internal_exposed: {
    why: 'Everybody can ask the internal listener: metrics, the state, and with a token /admin.',
    remedy:
      'Remove the router and the published port that lead to INTERNAL_PORT; only Traefik, probes and Prometheus need it.',
  },
} as const
