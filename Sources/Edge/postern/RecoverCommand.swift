// `postern recover`: the way back in for somebody who lost password or second factor, by whoever runs the server.

import ArgumentParser
import Environment
import Glibc
import Model
import People
import Sealing

struct RecoverCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recover",
        abstract: "Let somebody in again who lost their password or second factor.",
        discussion: """
            Runs on the server's own machine, as the server's user, with its configuration. Ends the wait after too many failed sign-ins, \
            and prints what sets a new password once, within a day; with --new-password it sets a random one and prints \
            that. All sessions end with the password. It stands in the audit log.

            With the embedded database no server may run meanwhile; with PostgreSQL it may, and hears of it at once.

            Example:  postern recover --email ada@example.com
                      postern recover --email ada@example.com --new-password --remove-second-factor
            """)

    @OptionGroup var options: ConfigurationOptions
    @Option(help: ArgumentHelp("Whom to let in.", valueName: "address")) var email: String
    @Flag(help: "Set a random password now, and print it, instead of a link.") var newPassword = false
    @Flag(help: "Take the second factor and the recovery codes away.") var removeSecondFactor = false

    func run() async throws {
        let configuration = try options.load()
        try await Machine.with(configuration, command: "postern recover", makesInstance: false) { machine in
            let link: Secret<String>?
            do {
                link = try await machine.accounts.recover(
                    email: email, removesSecondFactor: removeSecondFactor, audit: machine.audit(.machine))
            } catch let error as PosternError {
                throw StartError(description: "\(error.detail); \(error.fix)")
            }
            guard let link else { throw StartError(description: "nobody has the address \(email)") }
            try await hand(over: link, machine)
        }
    }

    private func hand(over link: Secret<String>, _ machine: Machine) async throws {
        let address = Instance.publicURL(machine.configuration)
        let token = link.reveal().split(separator: "#token=").last.map(String.init) ?? ""
        if removeSecondFactor { print("The second factor and the recovery codes are gone.") }
        if newPassword {
            let password = Secret(RandomToken.text(20))
            try await machine.accounts.reset(token: Secret(token), password: password, visit: Visit(door: "cli"))
            print(
                """
                The new password of \(email), which is shown this once:  \(password.reveal())
                Next: postern login --url \(address) --email \(email)
                """)
        } else {
            print(
                """
                This sets a new password for \(email), once and within a day:

                curl -sS \(address)/auth/password/reset -H 'Content-Type: application/json' \\
                -d '{"token":"\(token)","password":"THE NEW PASSWORD"}'
                """)
        }
        if !machine.configuration.people.allowsPasswords {
            print("But POSTERN_PASSWORD_SIGN_IN is off: nobody signs in by password until it is on.")
        }
    }
}
