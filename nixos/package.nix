{ lib, rustPlatform, util-linux }:

let
  root = ../.;
  manifest = lib.importTOML (root + "/Cargo.toml");
in
rustPlatform.buildRustPackage {
  pname = "golden-generation";
  inherit (manifest.workspace.package) version;

  # What the build reads and no more: a changed README rebuilds nothing.
  src = lib.fileset.toSource {
    inherit root;
    fileset = lib.fileset.unions (map (path: root + "/${path}") [
      "Cargo.lock"
      "Cargo.toml"
      "crates"
      "docs"
      "monitoring"
      "units"
      "vm-tests/qemu"
    ]);
  };
  cargoLock.lockFile = root + "/Cargo.lock";

  # xtask knows what belongs to the programs.
  cargoBuildFlags = [ "--workspace" ];
  postInstall = ''
    $out/bin/xtask install --programs $out/bin --prefix $out --root $TMPDIR/installed
    rm -r $out
    mv $TMPDIR/installed$out $out
  '';

  # All but those that take minutes (the walk over every state), need a file that is not part of the source, or run scripts and
  # servers as a whole machine does. What is left out is named in crates/xtask/src/nix.rs.
  checkType = "debug";
  cargoTestFlags = [ "--workspace" "--lib" ]
    ++ lib.concatMap (name: [ "--test" name ]) [
    "another_try"
    "asked"
    "assessment"
    "attempts"
    "boot_files"
    "closure"
    "decide"
    "drill"
    "durable"
    "early_end"
    "entries"
    "extlinux"
    "failed_mark"
    "golden_profile"
    "golden_waits"
    "grub"
    "hold"
    "ladder"
    "ledger"
    "left"
    "linux"
    "live"
    "loader"
    "meanwhile"
    "monitoring"
    "not_started"
    "outbox"
    "pages"
    "partitions"
    "pin"
    "postmortem"
    "programs"
    "publish"
    "quarantine"
    "rollback"
    "scenarios"
    "schemas"
    "sent_elsewhere"
    "serve"
    "server"
    "specialisation"
    "stand_in"
    "unit_files"
    "without_one_shot"
  ];
  # A test has a lock held by flock(1).
  nativeCheckInputs = [ util-linux ];

  meta = {
    description = "Brings an unattended NixOS host back by itself when a new generation does not boot";
    license = with lib.licenses; [ mit asl20 ];
    platforms = lib.platforms.linux;
    mainProgram = "golden";
  };
}
