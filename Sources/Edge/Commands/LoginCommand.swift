// `postern login` and `postern logout`: a person's way in, kept for the commands that follow.

package import ArgumentParser
import JSON
package import Model
import Sealing

package struct LoginCommand: APICommand {
    package static let configuration = CommandConfiguration(
        commandName: "login",
        abstract: "Sign in, and keep the login for later commands.",
        discussion: """
            Asks for the e-mail address, the password and, where the account has one, the second factor's code. The login \
            is kept in $XDG_CONFIG_HOME/postern/credentials.json (else ~/.config/postern), one for each server, and renews \
            itself until `postern logout`.

            With --sso your provider of single sign-on asks: open the address that is printed in a browser on this machine.

            Some acts need a sign-in of the last 15 minutes: --again shows once more who you are.

            Example:
              postern login --url https://postern.example.com
              postern login --email ada@example.com --password-file - < password.txt
              postern login --sso
              postern login --again
            """)

    package static let action = Action.sessionBegin

    @Option(help: ArgumentHelp("Your e-mail address. Default: it is asked for.", valueName: "address"))
    var email: String?
    @Option(
        help: ArgumentHelp(
            "A file whose first line is the password; - is standard input. Default: it is asked for.", valueName: "path"
        ))
    var passwordFile: String?
    @Option(help: "The second factor's code, or a recovery code. Default: asked for, where it is needed.")
    var code: String?
    @Flag(help: "Sign in by your provider of single sign-on.") var sso = false
    @Flag(help: "Show once more who you are, with the login that is kept.") var again = false
    @Option(help: ArgumentHelp("Seconds to wait for the browser.", valueName: "seconds")) var timeout = 300
    @OptionGroup var connection: AddressOptions
    @OptionGroup var output: OutputOptions

    package init() {}

    package func validate() throws {
        if sso, email != nil || passwordFile != nil || code != nil {
            throw ValidationError("With --sso the provider asks; leave out --email, --password-file and --code.")
        }
        if again, email != nil { throw ValidationError("--again is for the login that is kept; leave out --email.") }
        guard (1...3600).contains(timeout) else { throw ValidationError("--timeout is from 1 to 3600 seconds.") }
    }

    func perform(_ api: APIClient) async throws {
        guard let file = LoginFile(Terminal.current) else { throw CommandFailure.noHome }
        if api.access.isInClear {
            Terminal.current.note(
                "postern: \(api.access.url) is asked in clear: who is on the way can read what is sent")
        }
        let url = api.access.url
        let answer: JSONObject
        if sso {
            answer = try await LoopbackSignIn(api: api, isAgain: again, timeout: timeout).run()
        } else if again {
            answer = try await signInAgain(api.showing(.login(file)))
        } else {
            answer = try await signIn(api)
        }
        let login = try Login(answer: answer, now: Terminal.current.now())
        try await file.change { book throws(CommandFailure) in book[url] = login }
        let shown = JSONObject(["server": .string(url), "user": answer["user"] ?? .null])
        try output.show(.object(shown), ["signed in to \(Visible.text(url)) as \(Visible.text(login.email))"])
    }

    private func signIn(_ api: APIClient) async throws(CommandFailure) -> JSONObject {
        let question = Question(prompt: "E-mail address", otherwise: "give it with --email")
        let email = try Terminal.current.answer(question, given: email)
        let password = try SecretInput.read(passwordFile, asking: "Password", flag: "--password-file")
        let fields = JSONObject(["email": .string(email), "password": .string(password.reveal())])
        return try await api.signIn({ APIRequest(.post, in: .auth, "login", json: $0) }, fields: fields, code: code)
    }

    private func signInAgain(_ api: APIClient) async throws(CommandFailure) -> JSONObject {
        let password = try SecretInput.read(passwordFile, asking: "Password", flag: "--password-file")
        let fields = JSONObject(["password": .string(password.reveal())])
        return try await api.signIn(
            { APIRequest(.post, in: .auth, "reauthenticate", json: $0) }, fields: fields, code: code)
    }
}

package struct LogoutCommand: APICommand {
    package static let configuration = CommandConfiguration(
        commandName: "logout",
        abstract: "Sign out, and forget the login.",
        discussion: """
            Example:
              postern logout --url https://postern.example.com
            """)

    package static let action = Action.sessionEnd

    @Flag(help: "Only forget the login here, where the server is not there any more; the session ends when it expires.")
    var forget = false
    @OptionGroup var connection: AddressOptions
    @OptionGroup var output: OutputOptions

    package init() {}

    func perform(_ api: APIClient) async throws {
        guard let file = LoginFile(Terminal.current) else { throw CommandFailure.noHome }
        let url = api.access.url
        let email = try await file.change { book async throws(CommandFailure) -> String? in
            guard let login = book[url] else { return nil }
            if !forget { try await Self.end(login, api, &book) }
            book[url] = nil
            return login.email
        }
        guard let email else { throw CommandFailure.failed("nobody is signed in to \(url) here") }
        let shown = JSONObject(["server": .string(url), "email": .string(email), "status": .string("signed out")])
        try output.show(.object(shown), ["signed out of \(Visible.text(url)), where you were \(Visible.text(email))"])
    }

    /// The lock is held already, so that the login is renewed here, if it must be.
    private static func end(_ login: Login, _ api: APIClient, _ book: inout LoginBook) async throws(CommandFailure) {
        do throws(CommandFailure) {
            var token = login.accessToken
            if !login.isFresh(at: Terminal.current.now()) {
                let body = JSONObject(["refresh_token": .string(login.refreshToken.reveal())])
                let answer = try await api.object(APIRequest(.post, in: .auth, "refresh", json: body))
                let renewed = try Login(answer: answer, now: Terminal.current.now())
                book.renew(api.access.url, renewed)
                token = renewed.accessToken
            }
            _ = try await api.exchange(APIRequest(.post, in: .auth, "logout"), token: token)
        } catch {
            // A session that is over needs no end.
            guard case .refused(let problem) = error, problem.status == 401 else { throw error }
        }
    }
}
