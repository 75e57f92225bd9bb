// From nothing to a running server with one command: makes what is missing, starts everything, prints a card.

import ArgumentParser
import Environment
import FoundationEssentials
import Gate
import Glibc
import JSON
import Logging
import Model
import Sealing
import ServiceLifecycle
import Vaults

struct QuickstartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quickstart", abstract: "Make and run a server on this machine, and print how to use it.",
        discussion: """
            No flags, no DNS, no second server: makes the data directory, an owner, a vault "default", an API key, an SMTP \
            user and a self-signed certificate, and starts in shadow mode, where mail is captured and not sent. A second start uses \
            all of it again. The card is also in <data>/quickstart.json, which only you can read.

            Example:  postern quickstart
            """)

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
        let shipped = String(decoding: PackageResources.quickstart_env, as: UTF8.self)
        // The folder is named before its own file can be read: by the environment, by --config, or by default.
        let folder = try options.load(shipped: shipped).dataDirectory
        let own = "\(folder)/quickstart.env"
        var configuration = try options.load(shipped: ConfigurationOptions.text(at: own) ?? shipped)
        let logger = Startup.begin(configuration)
        let metrics = Startup.metrics()
        let directory = try DataDirectory(
            path: configuration.dataDirectory, isShared: configuration.database.isShared)
        if ConfigurationOptions.text(at: own) == nil { try DataDirectory.writePrivately(shipped, to: own) }
        let key = try MasterKey(configuration, makesOne: true)
        if configuration.tlsCertificate == nil {
            let made = try CertificateStore.makeSelfSigned(in: directory.path, hostname: "postern.localhost")
            (configuration.tlsCertificate, configuration.tlsKey) = (made.certificate, made.key)
        }
        let certificate = try CertificateStore(
            certificatePath: configuration.tlsCertificate ?? "", keyPath: configuration.tlsKey ?? "", logger: logger)
        let instance = try await Instance.open(
            configuration, masterKey: key, directory: directory, certificate: certificate, metrics: metrics,
            logger: logger)
        Startup.lookAtDefaults(configuration, logger)
        let path = "\(directory.path)/quickstart.json"
        let card = try await Card.prepare(instance, kept: ConfigurationOptions.text(at: path))
        try await Startup.run(instance.services + [CardPrinter(card: card, instance: instance, path: path)], logger)
        withExtendedLifetime(directory) {}
    }
}

/// Waits until the doors are open, then prints the card and keeps it in a file.
private struct CardPrinter: Service {
    let card: Card
    let instance: Instance
    let path: String

    func run() async throws {
        let hasSMTP = instance.configuration.isGatewayEnabled && instance.configuration.isInboundSMTPEnabled
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                let addresses = instance.addresses
                if addresses.http != nil, !hasSMTP || (addresses.smtp != nil && addresses.smtpTLS != nil) { break }
                try? await Task.sleep(for: .milliseconds(5))
            }
        }
        guard let http = instance.addresses.http else { return }
        let host = instance.configuration.http.host
        let url = instance.configuration.http.publicURL ?? "http://\(host):\(http)"
        let smtp = instance.addresses.smtp.map {
            Card.SMTP(host: instance.configuration.smtp.host, port: $0, tlsPort: instance.addresses.smtpTLS ?? 0)
        }
        try DataDirectory.writePrivately(
            String(decoding: card.json(url: url, smtp: smtp), as: UTF8.self) + "\n", to: path)
        print(
            card.text(
                url: url, smtp: smtp, isLive: instance.configuration.isLiveSendEnabled, path: path))
        fflush(nil)
        try? await gracefulShutdown()
    }
}
