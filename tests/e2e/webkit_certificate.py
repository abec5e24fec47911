"""Opens a page in WebKitGTK, showing a certificate when the server asks for one: prints what stands on the page.

Its WebDriver has no way to choose a certificate; this is the signal by which its browsers ask their user.
"""

import sys

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("WebKit2", "4.1")
from gi.repository import Gio, GLib, Gtk, WebKit2  # noqa: E402

url, p12, password = (sys.argv[1:] + ["", ""])[:3]

manager = WebKit2.WebsiteDataManager.new_ephemeral()
# WebKitGTK takes its roots from the whole system, which a test must not change.
manager.set_tls_errors_policy(WebKit2.TLSErrorsPolicy.IGNORE)
view = WebKit2.WebView.new_with_context(WebKit2.WebContext.new_with_website_data_manager(manager))
loop = GLib.MainLoop()
asked = []


def authenticate(_view, request):
    if request.get_scheme() != WebKit2.AuthenticationScheme.CLIENT_CERTIFICATE_REQUESTED:
        return False
    asked.append(request.get_host())
    if not p12:
        request.authenticate(None)
        return True
    certificate = Gio.TlsCertificate.new_from_file_with_password(p12, password)
    once = WebKit2.CredentialPersistence.FOR_SESSION
    request.authenticate(WebKit2.Credential.new_for_certificate(certificate, once))
    return True


def loaded(_view, event):
    if event == WebKit2.LoadEvent.FINISHED:
        view.evaluate_javascript("document.body.innerText", -1, None, None, None, read)


def read(_view, result):
    print(view.evaluate_javascript_finish(result).to_string())
    loop.quit()


def failed(_view, _event, _uri, error):
    sys.exit(f"{url} could not be loaded: {error.message}")


view.connect("authenticate", authenticate)
view.connect("load-changed", loaded)
view.connect("load-failed", failed)
window = Gtk.OffscreenWindow()
window.set_default_size(390, 844)
window.add(view)
window.show_all()
view.load_uri(url)
GLib.timeout_add_seconds(60, lambda: sys.exit(f"{url} did not load"))
loop.run()
print("asked for a certificate:", ", ".join(asked))
