// A RabbitMQ of our own on free ports in a temporary directory: one for the suites, another for a test that kills it.

import AMQP
import Glibc
import Logging
import TestSupport
import Testing

final class Broker: Sendable {
    let directory: String
    let port: Int
    let tlsPort: Int
    let environment: [String: String]
    private let process: ProcessBox

    static let user = "postern"
    static let password = "pa:ss/w@rd%"
    static let encodedPassword = "pa%3Ass%2Fw%40rd%25"

    /// The suites' broker: started by the first test that asks, ended with the process.
    static func shared() async throws -> Broker { try await sharedBroker.value }

    private static let sharedBroker = Task { try await Broker() }

    init() async throws {
        var template = Array("/tmp/postern-amqp-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        self.directory = directory
        port = freePort()
        tlsPort = freePort()
        let epmd = freePort()
        environment = [
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": directory,
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": "postern\(port)@localhost",
            "RABBITMQ_NODE_PORT": "\(port)",
            "RABBITMQ_DIST_PORT": "\(freePort())",
            "ERL_EPMD_PORT": "\(epmd)",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": "\(directory)/mnesia",
            "RABBITMQ_LOG_BASE": "\(directory)/log",
            "RABBITMQ_CONFIG_FILE": "\(directory)/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": "\(directory)/plugins",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
        ]
        writeFile("\(directory)/plugins", "[].\n")
        writeFile(
            "\(directory)/rabbitmq.conf",
            """
            listeners.tcp.1 = 127.0.0.1:\(port)
            listeners.ssl.1 = 127.0.0.1:\(tlsPort)
            ssl_options.cacertfile = \(directory)/ca.pem
            ssl_options.certfile = \(directory)/server.pem
            ssl_options.keyfile = \(directory)/server.key
            ssl_options.versions.1 = tlsv1.2
            default_user = \(Self.user)
            default_pass = \(Self.password)
            disk_free_limit.absolute = 1MB
            max_message_size = 40000000

            """)
        try await Self.makeCertificates(in: directory)
        process = ProcessBox()
        try await start()
    }

    /// A CA, a certificate by it for `localhost`, one by it for another name, and a CA that signed neither.
    private static func makeCertificates(in directory: String) async throws {
        let made = await ChildProcess.run(
            """
            cd \(directory) &&
            ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
                -subj "/CN=$1" -keyout $1.key -out $1.pem; } &&
            leaf() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$2" \
                -keyout $1.key -out $1.csr && printf "subjectAltName=DNS:$2" > $1.ext &&
                openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
                -extfile $1.ext -out $1.pem; } &&
            ca ca && ca stranger && leaf server localhost && leaf other broker.example
            """)
        try #require(made.code == 0, "openssl: \(made.output)")
    }

    /// Starts it, again after `kill`, and waits until it takes connections.
    func start() async throws {
        try process.start(
            // Were it not there in time, the broker would start another that outlives it.
            """
            epmd -port $ERL_EPMD_PORT &
            until epmd -port $ERL_EPMD_PORT -names; do sleep 0.05; done >/dev/null 2>&1
            /usr/lib/rabbitmq/bin/rabbitmq-server &
            """, environment: environment,
            directory: directory)
        let configuration = configuration()
        try await eventually("RabbitMQ starts, see \(directory)/output", within: 60) {
            let administration = AMQPAdministration(configuration: configuration, logger: .quiet)
            administration.start()
            let isUp = (try? await administration.inspect([])) != nil
            await administration.stop()
            if !isUp { try await Task.sleep(for: .milliseconds(200)) }
            return isUp
        }
    }

    /// `kill -9`.
    func kill() { process.kill() }

    /// SIGSTOP, until `resume`.
    func pause() { process.signal(SIGSTOP) }
    func resume() { process.signal(SIGCONT) }

    /// `rabbitmqctl` with these arguments.
    func control(_ arguments: String) async throws {
        let result = await ChildProcess.run(
            "/usr/lib/rabbitmq/bin/rabbitmqctl \(arguments)", environment: environment)
        try #require(result.code == 0, "rabbitmqctl \(arguments): \(result.output)")
    }

    func endpoint(tls: Bool = false) -> AMQPEndpoint {
        AMQPEndpoint(
            host: "localhost", port: tls ? tlsPort : port, username: Self.user, password: AMQPPassword(Self.password),
            virtualHost: "/", usesTLS: tls)
    }

    func configuration(tls: Bool = false) -> AMQPConfiguration {
        var configuration = AMQPConfiguration(
            endpoints: [endpoint(tls: tls)], caFile: "\(directory)/ca.pem", connectionName: "postern tests")
        configuration.firstPause = .milliseconds(50)
        configuration.lastPause = .milliseconds(400)
        return configuration
    }

    deinit {
        process.kill()
        if let pipe = popen("rm -rf \(directory)", "re") { pclose(pipe) }
    }
}

/// The broker's process, changing with each start.
private final class ProcessBox: Sendable {
    private let child = Locked<ChildProcess?>(nil)

    func start(_ script: String, environment: [String: String], directory: String) throws {
        let started = try ChildProcess(script, environment: environment, removing: directory)
        child.with { $0 = started }
    }

    func signal(_ number: Int32) { child.value?.signal(number) }

    /// Killed as its last owner lets go.
    func kill() { child.with { $0 = nil } }
}

extension Logger {
    /// Says nothing.
    static var quiet: Logger { Logger(label: "tests", factory: { _ in SwiftLogNoOpLogHandler() }) }
}
