# What an owner needs of a system before it is confirmed: /etc/golden-generation/checks.toml, and scripts beside it.
{ config, lib, options, pkgs, ... }:

let
  inherit (lib) literalExpression mkOption types;
  cfg = config.services.golden-generation;

  # The keys of each kind, by the names of their options: those that it needs, and those that it may have. A kind with several
  # of `oneOf` needs one of them.
  kinds = {
    unit = { needs = [ "unit" ]; };
    no-failed-units = { may = [ "except" ]; };
    tcp = { needs = [ "address" ]; };
    http = { needs = [ "url" ]; may = [ "status" ]; };
    dns = { needs = [ "name" ]; may = [ "server" ]; };
    mount = { needs = [ "path" ]; may = [ "writable" ]; };
    disk-space = { needs = [ "path" ]; may = [ "freeBytes" "freePercent" ]; oneOf = [ "freeBytes" "freePercent" ]; };
    ping = { needs = [ "host" ]; };
    command = { needs = [ "command" ]; };
  };
  # The keys of the file, by the names of their options.
  common = {
    kind = "kind";
    required = "required";
    timeoutSecs = "timeout_secs";
    retries = "retries";
    intervalSecs = "interval_secs";
    needsNetwork = "needs_network";
  };
  special = {
    unit = "unit";
    except = "except";
    address = "address";
    url = "url";
    status = "status";
    name = "name";
    server = "server";
    path = "path";
    writable = "writable";
    freeBytes = "free_bytes";
    freePercent = "free_percent";
    host = "host";
    command = "command";
  };

  isSet = check: option: check.${option} != null;
  complaints = name: check:
    let
      kind = kinds.${check.kind};
      needs = kind.needs or [ ];
      oneOf = kind.oneOf or [ ];
      known = needs ++ kind.may or [ ];
      where = "services.golden-generation.checks.${name}";
    in
    map (option: "${where}: the kind ${check.kind} needs `${option}`.") (lib.filter (option: !isSet check option) needs)
    ++ map (option: "${where}: `${option}` means nothing for the kind ${check.kind}.")
      (lib.filter (option: isSet check option && !lib.elem option known) (lib.attrNames special))
    ++ lib.optional (oneOf != [ ] && !lib.any (isSet check) oneOf)
      "${where}: the kind ${check.kind} needs `${lib.concatStringsSep "` or `" oneOf}`.";

  # As the programs see it (crates/checks/src/declared.rs).
  isOnline = check: if check.needsNetwork == null then lib.elem check.kind [ "tcp" "http" "dns" "ping" ] else check.needsNetwork;

  # JSON writes what we have as TOML does, but for a character that nobody has in a setting (U+007F).
  assign = keys: values: lib.concatStrings (lib.mapAttrsToList
    (option: key: lib.optionalString (values.${option} != null) "${key} = ${builtins.toJSON values.${option}}\n")
    keys);
  table = name: check: "\n[check.${builtins.toJSON name}]\n" + assign (common // special) check;
  # What goes without saying is not said: where nothing is, there is no file, and nothing is run.
  defaults = lib.mapAttrs (_: option: option.default) {
    inherit (options.services.golden-generation) settleSecs reportOnly probationSecs lateFailure;
  };
  said = lib.mapAttrs (option: default: if cfg.${option} == default then null else cfg.${option}) defaults;
  settings = {
    settleSecs = "settle_secs";
    reportOnly = "report_only";
    probationSecs = "probation_secs";
    lateFailure = "late_failure";
  };
  text = assign settings said + lib.concatStrings (lib.mapAttrsToList table cfg.checks);

  # Names of files.
  isName = name: builtins.match "[A-Za-z0-9_@:%+][A-Za-z0-9._@:%+-]*" name != null;
  scripts = directory: lib.mapAttrs' (name: script: {
    name = "golden-generation/checks/${directory}/${name}";
    value.source = pkgs.writeShellScript "golden-check-${name}" "set -euo pipefail\n${script}";
  });

  nullable = type: description: example: mkOption {
    type = types.nullOr type;
    default = null;
    inherit description example;
  };
  check.options = {
    kind = mkOption {
      type = types.enum (lib.attrNames kinds);
      example = "unit";
      description = "What is looked at. Each kind has options of its own, which mean nothing for the others.";
    };
    required = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether a generation that fails it does not work. One that is not required is reported.";
    };
    timeoutSecs = mkOption {
      type = types.ints.between 1 600;
      default = 30;
      example = 5;
      description = "Time in seconds for each run. Then it has failed, and all that it started is killed.";
    };
    retries = mkOption {
      type = types.ints.between 0 100;
      default = 2;
      example = 0;
      description = "Runs after the first one that failed.";
    };
    intervalSecs = mkOption {
      type = types.ints.between 0 600;
      default = 5;
      example = 1;
      description = "Time in seconds between two runs.";
    };
    needsNetwork = nullable types.bool
      ("Whether its failure is excused where there was no default route before the switch, and the checks of a boot wait for\n"
        + "`network-online.target`. By default that is so with `tcp`, `http`, `dns` and `ping`.")
      true;
    unit = nullable types.str "`unit`: this unit is active." "sshd.service";
    except = nullable (types.listOf types.str) "`no-failed-units`: units that may fail." [ "backup.service" ];
    address = nullable types.str "`tcp`: somebody listens there. `HOST:PORT`, or `[IPv6]:PORT`." "localhost:5432";
    url = nullable types.str "`http`: answers, with or without TLS." "https://www.example.org/health";
    status = nullable (types.ints.between 100 599)
      "`http`: the status of the answer. By default any from 200 to 299, after 5 redirects at most." 204;
    name = nullable types.str "`dns`: this name has an address." "cache.nixos.org";
    server = nullable types.str "`dns`: the IP address of a server that is asked, instead of all that the machine does." "192.0.2.53";
    path = nullable types.str "`mount`: a file system is mounted there. `disk-space`: any path on it." "/data";
    writable = nullable types.bool "`mount`: whether it must be possible to write there. By default it must." false;
    freeBytes = nullable (types.ints.between 0 9223372036854775807) "`disk-space`: bytes that are free at least." 2000000000;
    freePercent = nullable (types.ints.between 1 100) "`disk-space`: hundredths that are free at least." 5;
    host = nullable types.str "`ping`: a name, an address, or `gateway` for that of the default route." "gateway";
    command = nullable (types.listOf types.str)
      "`command`: a program with its arguments, which exits with status 0." [ "/run/current-system/sw/bin/queue-status" "--quiet" ];
  };
in
{
  options.services.golden-generation = {
    checks = mkOption {
      type = types.attrsOf (types.submodule check);
      default = { };
      example = literalExpression ''{ web = { kind = "http"; url = "http://localhost/health"; }; }'';
      description = ''
        What you need of a generation before it is confirmed, by a name for each. All of them are run at the same time, at the end
        of every boot and after a live switch. A boot that nobody has to confirm is not ended by them. `docs/checks.md` tells the
        rest.
      '';
    };

    requiredChecks = mkOption {
      type = types.attrsOf types.lines;
      default = { };
      example = literalExpression ''{ queue-is-empty = '''test "$(queue-length)" -eq 0'''; }'';
      description = ''
        Scripts for bash, with `set -euo pipefail`. A generation in which one of them fails does not work. They are drop-ins, which
        have 30 seconds and three tries each; with `kind = "command"` you say that yourself. If one needs a network, say
        `systemd.services.golden-assess.wants = [ "network-online.target" ];`, or it may be run before there is one.
      '';
    };

    wantedChecks = mkOption {
      type = types.attrsOf types.lines;
      default = { };
      example = literalExpression ''{ backup-is-recent = '''find /backup -mtime -2 | grep -q .'''; }'';
      description = "The same, but a failure is only reported.";
    };

    settleSecs = mkOption {
      type = types.ints.between 0 600;
      default = 10;
      example = 60;
      description = "Time in seconds after all required checks passed, after which they are run once more.";
    };

    reportOnly = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Run all checks and report what fails, but never hold it against a generation: watch before you trust.";
    };

    probationSecs = mkOption {
      type = types.ints.between 0 604800;
      default = 0;
      example = 3600;
      description = "Time in seconds after the confirmation in which the required checks go on. 0 is none.";
    };

    lateFailure = mkOption {
      type = types.enum [ "report" "roll-back" ];
      default = "report";
      example = "roll-back";
      description = "What a required check leads to that fails in that time.";
    };
  };

  config = lib.mkIf cfg.enable {
    environment.etc = lib.optionalAttrs (text != "") { "golden-generation/checks.toml".text = text; }
      // scripts "required.d" cfg.requiredChecks
      // scripts "wanted.d" cfg.wantedChecks;

    # Nothing else may want it, and without that nobody waits for an address: the checks of a good generation would fail.
    systemd.services.golden-assess = lib.mkIf (lib.any isOnline (lib.attrValues cfg.checks)) {
      wants = [ "network-online.target" ];
    };

    assertions =
      map (message: { assertion = false; inherit message; })
        (lib.concatLists (lib.mapAttrsToList complaints cfg.checks)
          ++ map (name: "services.golden-generation: \"${name}\" is no name for a check that is a script: it is a file of that name.")
          (lib.filter (name: !isName name) (lib.attrNames (cfg.requiredChecks // cfg.wantedChecks))));
  };
}
