// Every command says which of the gate's actions it is, and takes the options that such an action needs.

import ArgumentParser
import Model
import Testing

@testable import Commands

@Suite("Actions of commands")
struct ActionTests {
    /// The whole tree, as the gate's table has to know it: who adds a command adds a row.
    private static let table: [String: [String]] = [
        "message.send": ["send"],
        "message.read": ["message events", "message list", "message raw", "message show", "message wait"],
        "message.cancel": ["message cancel"],
        "message.retry": ["message retry"],
        "key.read": ["key list", "key show"],
        "key.write": ["key create", "key relabel", "key revoke", "key rotate"],
        "smtp_user.read": ["smtp-user list", "smtp-user show"],
        "smtp_user.write": ["smtp-user create", "smtp-user delete", "smtp-user edit", "smtp-user rotate"],
        "settings.read": ["settings explain", "settings get", "settings list"],
        "settings.write": ["settings set", "settings unset"],
        "pool.read": ["pool list"],
        "pool.write": ["pool add-ip", "pool create", "pool delete", "pool edit", "pool move-ip", "pool remove-ip"],
        "secret.read": ["secrets list"],
        "secret.write": ["secrets delete", "secrets rotate", "secrets set"],
        "queue.read": ["queue failures", "queue list"],
        "queue.repair": ["queue drain", "queue requeue"],
        "orphan.read": ["queue orphans"],
        "mailerq.read": ["mailerq get", "mailerq operations"],
        "mailerq.write": ["mailerq delete", "mailerq post"],
        "session.begin": ["account forgot", "account reset", "invitation accept", "login"],
        "session.end": ["account end-session", "logout"],
        "account.read": ["access list", "account sessions", "account show"],
        "account.write": ["account password", "account rename"],
        "account.secure": ["account recovery-codes", "account totp"],
        "user.read": ["user list", "user sessions", "user show"],
        "user.write": [
            "user create", "user disable", "user enable", "user end-sessions", "user rename", "user reset-link",
            "user role", "user unlock",
        ],
        "user.delete": ["user delete"],
        "invitation.read": ["invitation list"],
        "invitation.write": ["invitation create", "invitation resend", "invitation revoke"],
        "member.read": ["member list"],
        "member.write": ["member remove", "member set"],
        "vault.read": ["vault list", "vault show"],
        "vault.create": ["vault create"],
        "vault.rename": ["vault rename"],
        "vault.suspend": ["vault resume", "vault suspend"],
        "vault.archive": ["vault archive", "vault restore"],
        "vault.delete": ["vault delete"],
        "vault.plan": ["vault plan"],
        "usage.read": ["vault usage"],
        "plan.read": ["plan list", "plan show"],
        "plan.write": ["plan delete", "plan set"],
        "access.explain": ["access explain"],
        "audit.read": ["audit check", "audit list"],
        "audit.export": ["audit export"],
        "alert.read": ["alert list", "alert show"],
        "alert.acknowledge": ["alert acknowledge", "alert resolve"],
        "alert_rule.read": ["alert rule list"],
        "alert_rule.write": ["alert rule delete", "alert rule set"],
    ]

    private var leaves: [CommandTree.Leaf] { CommandTree(Postern.self).leaves }

    @Test("every command is the action that the table says, and every command is in the table")
    func everyCommand() {
        var found: [String: [String]] = [:]
        for leaf in leaves {
            found[leaf.action?.rawValue ?? "none", default: []].append(leaf.words)
        }
        for (action, commands) in found {
            #expect(commands.sorted() == Self.table[action] ?? [], "\(action)")
        }
        #expect(Set(found.keys) == Set(Self.table.keys))
    }

    @Test("no command is without an action")
    func noneWithout() {
        #expect(leaves.filter { $0.action == nil }.map(\.words) == [])
    }

    @Test("a program with a command that names no action does not start")
    func unnamed() async {
        struct Nameless: AsyncParsableCommand {
            static let configuration = CommandConfiguration(commandName: "nameless")
            func run() { Issue.record("it ran") }
        }
        struct Program: AsyncParsableCommand {
            static let configuration = CommandConfiguration(subcommands: [KeyCommand.self, Nameless.self])
        }
        let notes = Counter()
        let terminal = Terminal(
            output: { _ in }, note: { text in if text.hasSuffix("name no action: nameless") { _ = notes.next() } },
            input: { [] }, environment: { _ in nil }, isInteractive: false)
        for arguments in [["nameless"], ["key", "list"]] {
            let code = await Terminal.$current.withValue(terminal) {
                await CommandRunner.run(Program.self, arguments)
            }
            #expect(code == 1)
        }
        #expect(notes.next() == 2)
    }

    @Test("what is done in a vault takes --vault, and what is not does not")
    func vaults() async {
        for leaf in leaves {
            guard let action = leaf.action else { continue }
            let help = await run(leaf.words.split(separator: " ").map(String.init) + ["--help"]).output
            let rule = action.rule
            // A caller of a vault may, or a member; invitations and vaults themselves are named in another way.
            let isInVault = rule.scopes != nil || ["member.read", "member.write"].contains(action.rawValue)
            let isPlace = leaf.words.hasPrefix("invitation ") && leaf.words != "invitation accept"
            #expect(help.contains("--vault <vault>") == (isInVault || isPlace), "\(leaf.words)")
            #expect(help.contains("--token") == (!rule.isOpen && leaf.words != "logout"), "\(leaf.words)")
        }
    }

    @Test("local commands are the machine's, which no door allows")
    func local() {
        struct Here: LocalCommand {}
        #expect(Here.action == .machine)
    }

    @Test("commands and their actions can be read without a server")
    func list() async {
        let shown = await run(["access", "list", "--commands"])
        #expect(shown.code == 0, "\(shown.notes)")
        #expect(shown.output.contains("vault delete"))
        let rows = shown.output.split(separator: "\n").dropFirst()
        #expect(rows.count == leaves.count)
    }
}
