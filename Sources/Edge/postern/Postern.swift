// The program: its commands, and nothing else.

import ArgumentParser
import Commands
import Glibc

@main
enum Program {
    static func main() async { exit(await CommandRunner.run(Postern.self)) }
}

struct Postern: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "postern",
        abstract: "The one guarded gate for the mail that agents and internal tools send.",
        discussion: """
            Start here:  postern quickstart
            It needs no flags and no second server, and prints a card with all that you need to send a first message.
            """,
        version: Version.text,
        groupedSubcommands: [
            CommandGroup(
                name: "Running a server",
                subcommands: [
                    ServeCommand.self, QuickstartCommand.self, SetupCommand.self, RecoverCommand.self,
                    MigrateCommand.self, CheckCommand.self,
                ]),
            CommandGroup(
                name: "Talking to a running server",
                subcommands: [
                    SendCommand.self, MessageCommand.self, KeyCommand.self, SMTPUserCommand.self, SettingsCommand.self,
                    PoolCommand.self, SecretsWithMasterCommand.self, AuditWithVerifyCommand.self, QueueCommand.self,
                    MailerQCommand.self, AlertCommand.self,
                ]),
            CommandGroup(
                name: "People, vaults and access",
                subcommands: [
                    LoginCommand.self, LogoutCommand.self, AccountCommand.self, UserCommand.self,
                    InvitationCommand.self,
                    MemberCommand.self, VaultCommand.self, PlanCommand.self, AccessCommand.self,
                ]),
            CommandGroup(name: "Documentation", subcommands: [ReferenceCommand.self]),
        ]
    )
}

enum Version {
    static let text = "0.1.0"
}
