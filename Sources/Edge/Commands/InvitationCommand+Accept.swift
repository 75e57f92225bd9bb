// `postern invitation accept`: making one's account, or joining vaults with the account that one has.

import ArgumentParser
import JSON
import Model
import Sealing

extension InvitationCommand {
    struct Accept: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Accept an invitation: make your account, and sign in with it.",
            discussion: """
                Asks for the link, or for what stands behind #token= in it, for your name and for a password of at least 12 \
                characters. Who has an account already signs in first (`postern login`), and joins with it.

                Example:
                  postern invitation accept --url https://postern.example.com
                  postern invitation accept --link-file link.txt --name 'Ada Lovelace' \\
                    --password-file password.txt
                """)

        static let action = Action.sessionBegin

        @Option(help: ArgumentHelp("A file whose first line is the link. Default: it is asked for.", valueName: "path"))
        var linkFile: String?
        @Option(help: "What you want to be called. Default: it is asked for.") var name: String?
        @Option(
            help: ArgumentHelp("A file whose first line is your password. Default: it is asked for.", valueName: "path")
        )
        var passwordFile: String?
        @OptionGroup var connection: AddressOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard linkFile != "-" || passwordFile != "-" else {
                throw ValidationError("Only one of the two can come from standard input.")
            }
        }

        func perform(_ api: APIClient) async throws {
            guard let file = LoginFile(Terminal.current) else { throw CommandFailure.noHome }
            let token = LinkToken.token(try SecretInput.read(linkFile, asking: "Link", flag: "--link-file"))
            var body = JSONObject(["token": .string(token.reveal())])
            let offer = try await api.object(APIRequest(.post, in: .auth, "invitations", "show", json: body))
            guard offer["has_account"]?.boolValue != true else { return try await join(offer, body, api, file) }
            if !output.json { for line in ValueText.details(offer) { Terminal.current.note(line) } }
            let question = Question(prompt: "Your name", otherwise: "give it with --name")
            body.give("name", try Terminal.current.answer(question, given: name))
            let password = try SecretInput.new(passwordFile, asking: "Password", flag: "--password-file")
            body.give("password", password.reveal())
            let answer = try await api.object(APIRequest(.post, in: .auth, "invitations", "accept", json: body))
            let login = try Login(answer: answer, now: Terminal.current.now())
            let url = api.access.url
            try await file.change { book throws(CommandFailure) in book[url] = login }
            let shown = JSONObject(["server": .string(url), "user": answer["user"] ?? .null])
            try output.show(.object(shown), ["signed in to \(Visible.text(url)) as \(Visible.text(login.email))"])
        }

        private func join(
            _ offer: JSONObject,
            _ body: JSONObject,
            _ api: APIClient,
            _ file: LoginFile
        ) async throws(CommandFailure) {
            let email = offer["email"]?.stringValue ?? ""
            let login: Login?
            do throws(FileFailure) { login = try file.read()[api.access.url] } catch {
                throw .failed(error.description)
            }
            guard let login, login.email.lowercased() == email.lowercased() else {
                throw .failed(
                    "\(email) has an account: sign in with it first (postern login --url \(api.access.url) "
                        + "--email \(email)), then accept again")
            }
            let member = api.showing(.login(file))
            let answer = try await member.object(APIRequest(.post, in: .auth, "invitations", "accept", json: body))
            try output.show(.object(answer), ["\(Visible.text(email)) has accepted."])
        }
    }
}
