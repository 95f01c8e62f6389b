"""The pages of a hotspot that nobody has changed: a form for name and password, and what follows it.

They print what RouterOS's own pages print, in words of our own. For CHAP the login page prints the challenge; the
script that answers it (md5.js) is not among them.
"""

from __future__ import annotations

_HEAD = '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>Hotspot</title></head>\n<body>\n'
_TAIL = "</body>\n</html>\n"
_REDIRECT = (
    "$(if http-status == 302)Hotspot redirect$(endif)\n"
    '$(if http-header == "Location")$(link-redirect)$(endif)\n'
    f'{_HEAD}<p><a href="$(link-redirect)">$(link-redirect)</a></p>\n{_TAIL}'
)

STOCK_PAGES = {
    "redirect.html": _REDIRECT,
    "rlogin.html": _REDIRECT,
    "login.html": f"""{_HEAD}\
$(if error)<p class="error">$(error)</p>$(endif)
<form action="$(link-login-only)" method="post"$(if chap-id) data-chap-id="$(chap-id)" \
data-chap-challenge="$(chap-challenge)"$(endif)>
<input type="hidden" name="dst" value="$(link-orig)">
<input type="hidden" name="popup" value="true">
<label>Name <input name="username" value="$(username)"></label>
<label>Password <input name="password" type="password"></label>
<button>Log in</button>
</form>
$(if trial == 'yes')<p>\
<a href="$(link-login-only)?dst=$(link-orig-esc)&amp;username=T-$(mac-esc)">Try it</a></p>$(endif)
{_TAIL}""",
    "alogin.html": f"""{_HEAD}\
<meta http-equiv="refresh" content="2;url=$(link-redirect)">
<p>You are logged in as $(username). <a href="$(link-redirect)">Go on</a></p>
{_TAIL}""",
    "status.html": f"""{_HEAD}\
<p>You are logged in as $(username)</p>
<p>address $(ip) uptime $(uptime) received $(bytes-in-nice) sent $(bytes-out-nice)</p>
$(if session-time-left)<p>time left $(session-time-left)</p>$(endif)
<form action="$(link-logout)" method="post"><button>Log off</button></form>
{_TAIL}""",
    "logout.html": f"""{_HEAD}\
<p>You have just logged out.</p>
<p>uptime $(uptime) received $(bytes-in-nice) sent $(bytes-out-nice)</p>
<p><a href="$(link-login)">Log in</a></p>
{_TAIL}""",
    "error.html": f"""{_HEAD}\
<p class="error">Hotspot error: $(error)</p>
<p><a href="$(link-login)">Log in</a></p>
{_TAIL}""",
    "api.json": """\
$(if http-header == "Content-Type")application/captive+json$(endif)
{
"captive": $(if logged-in == 'yes')false$(else)true$(endif),
"user-portal-url": "$(link-login-only)",
$(if session-timeout-secs != 0)"seconds-remaining": $(session-timeout-secs),$(endif)
$(if remain-bytes-total)"bytes-remaining": $(remain-bytes-total),$(endif)
"can-extend-session": true
}
""",
}
