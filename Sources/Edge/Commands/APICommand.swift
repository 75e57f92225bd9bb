// What every command that talks to the API has in common: its action, its options, its connection, its end.

import ArgumentParser
import Model

protocol APICommand: AsyncParsableCommand, ActingCommand {
    associatedtype Connection: ConnectionChoice
    var connection: Connection { get }

    /// Whom it is for, as it was typed; the action's, unless a command says otherwise.
    var audience: Audience { get }

    /// Does the command's work. A `CommandFailure` ends it with the failure's lines and exit code.
    func perform(_ api: APIClient) async throws
}

extension APICommand {
    var audience: Audience { Audience(Self.action.rule) }

    mutating package func run() async throws {
        let terminal = Terminal.current
        let access = try ServerAccess.resolve(connection, for: audience, terminal: terminal)
        do {
            let command = self
            try await APIClient.withClient(access) { try await command.perform($0) }
        } catch let failure as CommandFailure {
            for line in failure.lines { terminal.note(line) }
            throw ExitCode(failure.exitCode)
        }
    }
}

/// Whom an action is for, as far as it matters for what to show the server.
enum Audience: Equatable {
    /// Everybody: nothing has to be shown.
    case everybody
    case people
    case keys
    case peopleAndKeys

    init(_ rule: ActionRule) {
        let isForPeople = rule.member != nil || rule.steward != nil || rule.instance != nil || rule.isOwn
        if rule.isOpen {
            self = .everybody
        } else if rule.scopes == nil {
            self = .people
        } else {
            self = isForPeople ? .peopleAndKeys : .keys
        }
    }
}
