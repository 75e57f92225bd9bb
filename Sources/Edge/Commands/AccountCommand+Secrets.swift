// `postern account password`, `forgot`, `reset`, `totp`, `recovery-codes`: what shows who one is.

import ArgumentParser
import JSON
import Model
import Sealing

extension AccountCommand {
    struct Password: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Change your password. All your other sessions end.",
            discussion: """
                Example:
                  postern account password
                  postern account password --current-file old.txt --new-file new.txt
                """)

        static let action = Action.accountWrite

        @Option(
            help: ArgumentHelp(
                "A file whose first line is the present password. Default: it is asked for.", valueName: "path"))
        var currentFile: String?
        @Option(
            help: ArgumentHelp(
                "A file whose first line is the new password. Default: it is asked for.", valueName: "path"))
        var newFile: String?
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard currentFile != "-" || newFile != "-" else {
                throw ValidationError("Only one of the two can come from standard input.")
            }
        }

        func perform(_ api: APIClient) async throws {
            let current = try SecretInput.read(currentFile, asking: "Present password", flag: "--current-file")
            let new = try SecretInput.new(newFile, asking: "New password", flag: "--new-file")
            let body = JSONObject(["current": .string(current.reveal()), "new": .string(new.reveal())])
            _ = try await api.send(APIRequest(.post, in: .auth, "password", json: body))
            try output.show(
                .object(JSONObject(["status": .string("changed")])),
                ["The password is changed, and all your other sessions ended."])
        }
    }

    struct Forgot: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Ask for a link to set a new password, by mail.",
            discussion: """
                The answer is the same whether anybody has the address or not.

                Example:
                  postern account forgot ada@example.com
                """)

        static let action = Action.sessionBegin

        @Argument(help: "The account's e-mail address.") var email: String
        @OptionGroup var connection: AddressOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let body = JSONObject(["email": .string(email)])
            let answer = try await api.object(APIRequest(.post, in: .auth, "password", "forgot", json: body))
            try output.show(
                .object(answer),
                ["If \(Visible.text(email)) has an account and the server can send mail, a link is on its way there."])
        }
    }

    struct Reset: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Set a new password with the link that you were given.",
            discussion: """
                Asks for the link, or for what stands behind #token= in it. It works once.

                Example:
                  postern account reset
                  postern account reset --link-file link.txt --password-file new.txt
                """)

        static let action = Action.sessionBegin

        @Option(help: ArgumentHelp("A file whose first line is the link. Default: it is asked for.", valueName: "path"))
        var linkFile: String?
        @Option(
            help: ArgumentHelp(
                "A file whose first line is the new password. Default: it is asked for.", valueName: "path"))
        var passwordFile: String?
        @OptionGroup var connection: AddressOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard linkFile != "-" || passwordFile != "-" else {
                throw ValidationError("Only one of the two can come from standard input.")
            }
        }

        func perform(_ api: APIClient) async throws {
            let token = LinkToken.token(try SecretInput.read(linkFile, asking: "Link", flag: "--link-file"))
            let password = try SecretInput.new(passwordFile, asking: "New password", flag: "--password-file")
            let body = JSONObject(["token": .string(token.reveal()), "password": .string(password.reveal())])
            _ = try await api.send(APIRequest(.post, in: .auth, "password", "reset", json: body))
            try output.show(
                .object(JSONObject(["status": .string("changed")])), ["The password is changed. Next: postern login"])
        }
    }

    struct TOTP: APICommand {
        static let configuration = CommandConfiguration(
            commandName: "totp",
            abstract: "Set up a second factor: codes of an authenticator app. Or take it away.",
            discussion: """
                Prints a secret for your authenticator, asks for the code that it shows then, and prints recovery codes, \
                each of which stands in for a code once. From then on a sign-in by password needs a code. Where nobody can \
                be asked, a second call gives the code.

                Example:
                  postern account totp
                  postern account totp --code 123456
                  postern account totp --remove
                """)

        static let action = Action.accountSecure

        @Option(help: "The code that the authenticator shows, for the secret that an earlier call printed.")
        var code: String?
        @Flag(help: "Take the second factor and the recovery codes away.") var remove = false
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            if remove, code != nil { throw ValidationError("--remove takes no --code.") }
        }

        func perform(_ api: APIClient) async throws {
            if remove {
                _ = try await api.send(APIRequest(.delete, in: .auth, "totp"))
                return try output.show(
                    .object(JSONObject(["status": .string("removed")])), ["The second factor is taken away."])
            }
            if let code { return try await confirm(code, api) }
            let answer = try await api.object(APIRequest(.post, in: .auth, "totp"))
            try output.show(
                .object(answer),
                [
                    "secret  \(ValueText.cell(answer["secret"]))", "uri     \(ValueText.cell(answer["uri"]))", "",
                    "Give your authenticator the secret or the address; it is shown this once.",
                ])
            // A program gets one document and asks with --code.
            guard !output.json else { return }
            let question = Question(prompt: "The code that it shows now", otherwise: "")
            guard let code = try Terminal.current.ask(question) else {
                return Terminal.current.note("Next: postern account totp --code CODE")
            }
            try await confirm(code.trimmed, api)
        }

        private func confirm(_ code: String, _ api: APIClient) async throws(CommandFailure) {
            let body = JSONObject(["code": .string(code)])
            let answer = try await api.object(APIRequest(.post, in: .auth, "totp", "confirm", json: body))
            try output.show(
                .object(answer), ["The second factor is set up. Recovery codes:", ""] + RecoveryCodes.lines(answer))
            Terminal.current.note(RecoveryCodes.shownOnce)
        }
    }

    struct RecoveryCodes: APICommand {
        static let configuration = CommandConfiguration(
            commandName: "recovery-codes",
            abstract: "Make new recovery codes; the old ones are worth nothing any more.",
            discussion: """
                Example:
                  postern account recovery-codes
                """)

        static let action = Action.accountSecure

        static let shownOnce = "This is the only time that the codes are shown. Each works once."

        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let answer = try await api.object(APIRequest(.post, in: .auth, "totp", "recovery-codes"))
            try output.show(.object(answer), Self.lines(answer))
            Terminal.current.note(Self.shownOnce)
        }

        static func lines(_ answer: JSONObject) -> [String] {
            (answer["recovery_codes"]?.arrayValue ?? []).map { ValueText.cell($0) }
        }
    }
}

/// What stands behind `#token=` in a link; a text without that is the token itself.
enum LinkToken {
    static func token(_ link: Secret<String>) -> Secret<String> {
        let text = link.reveal().trimmed
        guard let mark = text.lastIndex(of: "#") else { return Secret(text) }
        let fragment = text[text.index(after: mark)...]
        return Secret(String(fragment.hasPrefix("token=") ? fragment.dropFirst("token=".count) : fragment))
    }
}
