// swift-tools-version: 6.2
import PackageDescription

// `make` and CI set SALLYPORT_STRICT, so that a packager's newer toolchain only warns.
let strict = Context.environment["SALLYPORT_STRICT"] != nil
// Sanitizers and fuzzers rebuild everything, so they build only the layers that read hostile bytes or share state.
let core = Context.environment["SALLYPORT_CORE"] != nil
let fuzz = Context.environment["SALLYPORT_FUZZ"] != nil

let settings: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    ] + (strict ? [.treatAllWarnings(as: .error)] : [])
/// For targets that touch no C: every unsafe construct has to be acknowledged.
let memorySafe = settings + [.strictMemorySafety()]

let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")

let package = Package(
    name: "sallyport",
    products: [
        .library(name: "RADIUS", targets: ["RADIUS"]),
        .library(name: "OTP", targets: ["OTP"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    ],
    targets: [
        // 0: protocols, published, no I/O
        .target(name: "RADIUS", swiftSettings: memorySafe),
        .target(name: "OTP", dependencies: [crypto], swiftSettings: memorySafe),
        .testTarget(name: "RADIUSTests", dependencies: ["RADIUS"], resources: [.copy("Vectors")], swiftSettings: settings),
        .testTarget(name: "OTPTests", dependencies: ["OTP"], resources: [.copy("Vectors")], swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)

if fuzz {
    package.targets += [
        .executableTarget(name: "FuzzRADIUS", dependencies: ["RADIUS"], path: "Fuzz/FuzzRADIUS")
    ]
}
