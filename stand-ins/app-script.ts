/**
 * Script of the app's page, for which `BASE_PATH/client.js` makes events of the window. It leaves the default of
 * `session-ended` alone: the page is loaded again, and says after the sign-in why.
 */
export const appScript = `
const ENDS = {
  'signed-out': 'you signed out in this browser',
  'signed-out-elsewhere': 'you ended it from another browser',
  provider: 'the provider ended it',
  operator: 'an operator ended it',
  expired: 'its time was up',
  replaced: 'a new sign-in took its place',
}
const byId = (id) => document.getElementById(id)
const say = (text) => {
  byId('banner').textContent = text
  byId('banner').hidden = false
}

const endedBefore = sessionStorage.getItem('ended')
if (endedBefore) say('Your session before this one ended: ' + ENDS[endedBefore] + '.')
sessionStorage.removeItem('ended')

addEventListener('vestibule:session-ended', ({ detail }) => {
  sessionStorage.setItem('ended', detail.reason)
  say('Your session has ended: ' + ENDS[detail.reason] + '.')
  byId('session').hidden = true
  byId('sign-out').hidden = true
})

addEventListener('vestibule:notice', ({ detail }) => {
  const item = document.createElement('li')
  item.textContent = new Date().toLocaleTimeString() + '  ' + (detail?.text ?? JSON.stringify(detail))
  byId('notices').prepend(item)
  byId('no-notice').hidden = true
})

let endsAtMs
const endsIn = (seconds) => {
  endsAtMs = Date.now() + seconds * 1000
  showTimeLeft()
}
const showTimeLeft = () => {
  const seconds = Math.max(0, Math.round((endsAtMs - Date.now()) / 1000))
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  byId('time-left').textContent = hours + ' h ' + minutes + ' min ' + (seconds % 60) + ' s'
}
addEventListener('vestibule:session-renewed', ({ detail }) => endsIn(detail.expires_in))
fetch('/oauth2/me?slide=false').then(async (answer) => {
  if (!answer.ok) return
  endsIn((await answer.json()).expires_in)
  byId('session').hidden = false
  setInterval(showTimeLeft, 1000)
})
`
