#!/usr/bin/env python3
"""A browser that a person would have: follows redirects, keeps cookies, presses "Continue". Prints what it ends with."""
import html, http.cookiejar, json, os, re, sys, urllib.error, urllib.request



class Following(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, request, answer, code, message, headers, address):
        self.address = address
        return super().redirect_request(request, answer, code, message, headers, address)


following = Following()
opener = urllib.request.build_opener(
    following, urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))


def visit(address):
    following.address = address
    try:
        answer = opener.open(address, timeout=60)
    except urllib.error.HTTPError as error:
        answer = error
    except urllib.error.URLError as error:
        return {"status": 0, "address": following.address, "body": str(error.reason), "headers": {}}
    with answer:
        body = answer.read().decode()
        return {"status": answer.status, "address": answer.url, "body": body, "headers": dict(answer.headers)}


page = visit(sys.argv[1])
button = re.search(r'<a href="([^"]*)" class="primary-button">Continue</a>', page["body"])
if button:
    page = visit(html.unescape(button[1]))
print(json.dumps(page))
if "BROWSER_RECORD" in os.environ:
    with open(os.environ["BROWSER_RECORD"] + ".new", "w") as record:
        json.dump(page | {"argument": sys.argv[1]}, record)
    os.rename(os.environ["BROWSER_RECORD"] + ".new", os.environ["BROWSER_RECORD"])
