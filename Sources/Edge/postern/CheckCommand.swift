// Looks at everything that a start would need, and names every problem in one run.

import ArgumentParser
import Environment
import FoundationEssentials
import Logging
import NIOPosix
import Sealing
import SQL
import Store

struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check the configuration and what it points at.",
        discussion: """
            Names every problem in one run and exits with 1 if there is any. Changes nothing.

            Example:  postern check --config /etc/postern/postern.env
            """)

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
        let configuration = try options.load()
        var problems: [String] = []
        func check(_ name: String, _ work: () async throws -> String) async {
            do {
                print("ok       \(name): \(try await work())")
            } catch {
                print("problem  \(name): \(error)")
                problems.append(name)
            }
        }
        await check("exposure") {
            try configuration.checkExposure()
            return "no one can sign in over a network in clear"
        }
        await check("master key") {
            _ = try DataDirectory.masterKey(configuration, makesOne: false)
            return "can be read"
        }
        await check("certificate") {
            guard let certificate = configuration.tlsCertificate, let key = configuration.tlsKey else {
                return "none; SMTP offers no TLS"
            }
            _ = try CertificateStore(certificatePath: certificate, keyPath: key, logger: Logger(label: "postern"))
            return "can be used"
        }
        await check("trust roots") {
            guard let path = configuration.delivery.trustRootsFile else { return "the system's" }
            guard ConfigurationOptions.text(at: path) != nil else {
                throw StartError(description: "POSTERN_TLS_CA_FILE: \(path) cannot be read")
            }
            return "the system's and \(path)"
        }
        await check("database") { try await Self.database(configuration) }
        guard problems.isEmpty else {
            print("\(problems.count == 1 ? "1 problem" : "\(problems.count) problems")")
            throw ExitCode(1)
        }
    }

    private static func database(_ configuration: InstanceConfiguration) async throws -> String {
        if let file = configuration.database.missingFile { return "\(file) will be made at the first start" }
        let database = try await Databases.open(
            configuration.database, rootCertificates: configuration.delivery.trustRootsFile,
            logger: Logger(label: "postern"))
        let due = try await Migrator(database: database).pending()
        await database.close()
        return due.isEmpty
            ? "reachable, schema up to date" : "reachable, \(due.count) schema steps due at the next start"
    }
}
