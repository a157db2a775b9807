// SPDX-License-Identifier: Apache-2.0
// The page behind an invitation's link: complete without script, one thing on a screen.

package import LoginEngine

/// What the pages are about; the door knows nothing of what stands behind it. Tokens and passwords pass through.
package struct PageSources: Sendable {
    package enum Activation: Sendable, Equatable {
        case done
        case void
        /// A sentence for whoever chose the password.
        case refused(String)
        case unavailable
    }

    package enum Invitee: Sendable, Equatable {
        case user(String)
        case void
        case unavailable
    }

    /// The name of this service, as people see it.
    package var name: String
    /// `https://vpn.example.org`: what the browser calls this server, without a slash at its end.
    package var origin: String
    package var invitee: @Sendable (_ token: String, _ source: String) async -> Invitee
    package var activate: @Sendable (_ token: String, _ password: Secret, _ source: String) async -> Activation
    /// Uptime, for budgets.
    package var now: @Sendable () -> Timestamp

    package init(
        name: String, origin: String, invitee: @escaping @Sendable (String, String) async -> Invitee,
        activate: @escaping @Sendable (String, Secret, String) async -> Activation, now: @escaping @Sendable () -> Timestamp
    ) {
        (self.name, self.origin, self.invitee, self.activate, self.now) = (name, origin, invitee, activate, now)
    }
}

enum ActivationPage {
    static let path = "/activate"

    private static func page(_ name: String, _ title: String, _ body: Markup) -> String {
        let page: Markup = """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="robots" content="noindex">
            <title>\(title) · \(name)</title>
            <link rel="stylesheet" href="\(StyleSheet.path)">
            <link rel="icon" href="data:,">
            </head>
            <body>
            <main>
            <p class="name">\(name)</p>
            <div class="card">
            \(body)
            </div>
            </main>
            </body>
            </html>

            """
        return page.text
    }

    /// - Parameter problem: what was wrong with what was typed.
    static func form(_ name: String, user: String, token: String, problem: String? = nil) -> String {
        let told: Markup =
            problem.map {
                """
                <div class="wrong" role="alert" id="problem"><strong>Not set.</strong> \($0)</div>

                """
            } ?? ""
        let described: Markup = problem == nil ? "rule" : "problem rule"
        let invalid: Markup = problem == nil ? "" : " aria-invalid=\"true\""
        return page(
            name, problem == nil ? "Set your password" : "Not set: set your password",
            """
            <h1>Set your password</h1>
            <p class="soft">You need it to log in to the VPN.</p>
            \(told)<form method="post" action="\(path)/\(token)">
            <p class="field">Your login name</p>
            <p class="login">\(user)</p>
            <input name="username" type="text" value="\(user)" autocomplete="username" hidden>
            <label for="password">New password</label>
            <input id="password" name="password" type="password" autocomplete="new-password" required minlength="8" autofocus aria-describedby="\(described)"\(invalid)>
            <p class="soft hint" id="rule">At least 8 characters. A few words are easy to remember and hard to guess.</p>
            <label for="again">The same once more</label>
            <input id="again" name="again" type="password" autocomplete="new-password" required minlength="8">
            <button type="submit">Set password</button>
            </form>
            """)
    }

    static func done(_ name: String) -> String {
        page(
            name, "Your password is set",
            """
            <h1><span class="good-word" aria-hidden="true">✓ </span>Your password is set</h1>
            <p>Log in to the VPN with your login name and this password. You can close this page.</p>
            <p class="soft">The link in your mail opens nothing any more.</p>
            """)
    }

    /// The same for every link that opens nothing: nobody learns which there were.
    static func void(_ name: String) -> String {
        page(
            name, "This link opens nothing",
            """
            <h1>This link opens nothing</h1>
            <p>It was used already, it has ended, or a newer one was sent to you.</p>
            <p>If you have set your password, log in with it. Else look for a newer mail, or ask your administrator for another link.</p>
            """)
    }

    static func busy(_ name: String) -> String {
        page(
            name, "Too many tries",
            """
            <h1>Too many tries</h1>
            <p>Wait a minute, then open the link in your mail again.</p>
            """)
    }

    static func unavailable(_ name: String) -> String {
        page(
            name, "Not possible now",
            """
            <h1>This is not possible at the moment</h1>
            <p>Your link is not used up. Open it again in a few minutes, and tell your administrator if it still does not work.</p>
            """)
    }

    static func missing(_ name: String) -> String {
        page(
            name, "There is nothing here",
            """
            <h1>There is nothing here</h1>
            <p>Open the link in your mail, all of it. If your mail program has cut it, copy it as a whole.</p>
            """)
    }
}
