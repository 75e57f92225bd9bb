// swift-tools-version: 6.2
// The fuzz target of the SMTP server. A package of its own, because it needs SwiftNIO and coverage flags that the
// product must not have; Sources/SMTP is a link to the product's own sources.

import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .unsafeFlags(["-sanitize=fuzzer", "-enforce-exclusivity=checked"]),
]

let package = Package(
    name: "postern",
    products: [.library(name: "FuzzSMTP", type: .static, targets: ["FuzzSMTP"])],
    dependencies: [.package(url: "https://github.com/apple/swift-nio", from: "2.101.2")],
    targets: [
        .target(name: "SMTP", dependencies: [.product(name: "NIOCore", package: "swift-nio")], swiftSettings: settings),
        .target(
            name: "FuzzSMTP",
            dependencies: ["SMTP", .product(name: "NIOCore", package: "swift-nio")],
            swiftSettings: settings
        ),
    ]
)
