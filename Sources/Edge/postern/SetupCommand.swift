// `postern setup`: the first owner and the first vault of an instance, before anybody can sign in.

import ArgumentParser
import Commands
import Environment
import Glibc
import Model
import People
import Sealing
import Store
import Vaults

struct SetupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "setup",
        abstract: "Make the first owner and the first vault.",
        discussion: """
            Runs on the server's own machine, as the server's user, with its configuration, once: where there is an owner \
            it refuses. A missing database and master key are made. The password comes from the first line of a file, or \
            is asked for twice; the owner invites everybody else.

            With the embedded database no server may run meanwhile; with PostgreSQL it may.

            Example:  postern setup --config /etc/postern/postern.env --owner-email ada@example.com
                      postern setup --owner-email ada@example.com --owner-password-file ./password --vault shop
            """)

    @OptionGroup var options: ConfigurationOptions
    @Option(help: ArgumentHelp("The address that the owner signs in with.", valueName: "address"))
    var ownerEmail: String
    @Option(help: ArgumentHelp("What the owner is called. Default: the address.", valueName: "name"))
    var ownerName: String?
    @Option(help: ArgumentHelp("A file whose first line is the password. Default: it is asked for.", valueName: "path"))
    var ownerPasswordFile: String?
    @Option(
        help: ArgumentHelp(
            "The vault that the owner owns; made where there is none. Default: default, in an instance without vaults.",
            valueName: "slug"))
    var vault: String?

    func run() async throws {
        let configuration = try options.load()
        let password = try SecretInput.newPassword(
            ownerPasswordFile, asking: "the password of \(ownerEmail)", flag: "--owner-password-file")
        try await Machine.with(configuration, command: "postern setup", makesInstance: true) { machine in
            try await setUp(machine, password)
        }
    }

    private func setUp(_ machine: Machine, _ password: Secret<String>) async throws {
        let owner: User
        do {
            owner = try await machine.accounts.makeFirstOwner(
                email: ownerEmail, name: ownerName ?? ownerEmail, password: password, audit: machine.audit(.machine))
        } catch let error as PosternError {
            throw StartError(description: "\(error.detail); \(error.fix)")
        }
        print("\(owner.email) owns this instance.")
        do {
            if let vault = try await machine.firstVault(named: vault, for: owner.id) {
                print("The vault \(vault.slug) is theirs as well.")
            } else {
                print("The vaults that were there are nobody's yet: `postern member set` makes you a member of one.")
            }
        } catch let error as PosternError {
            // The owner stays, and can do it in a better way.
            print("The vault was not made: \(error.detail). Make it with `postern vault create`.")
        }
        let address = Instance.publicURL(machine.configuration)
        print("Next: postern serve, then: postern login --url \(address) --email \(owner.email)")
    }
}

extension Machine {
    /// - Parameter name: `nil` stands for `default` in an instance without vaults, and for none in another.
    fileprivate func firstVault(named name: String?, for owner: UserID) async throws -> Vault? {
        if name == nil, try await !vaults.all().isEmpty { return nil }
        return try await FirstVault(vaults: vaults, database: database, clock: clock, audit: audit)
            .open(named: name ?? "default", for: owner)
    }
}
