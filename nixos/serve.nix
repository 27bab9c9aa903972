# What others may read of a host: a copy of its state, metrics, and a page that shows both.
{ config, lib, options, ... }:

let
  inherit (lib) mkEnableOption mkOption types;
  cfg = config.services.golden-generation;
  inherit (cfg) publish serve;

  isDefaultDir = cfg.stateDir == options.services.golden-generation.stateDir.default;
  isFleet = serve.fleet != [ ] || serve.directory != null;
  # Written into units: nothing that they would take apart.
  isWord = pattern: text: builtins.match pattern text != null;
  isUrl = isWord "https?://[][A-Za-z0-9._:-]+(/[A-Za-z0-9._~/-]*)?";
  isPath = isWord "/[A-Za-z0-9._+/-]+";

  flags = lib.concatStringsSep " ";
  publishFlags = lib.optional (publish.textfile != null) "--textfile ${publish.textfile}"
    ++ lib.optional publish.withOutput "--with-output";
  serveFlags = map (url: "--fleet ${url}") serve.fleet
    ++ lib.optional (serve.directory != null) "--directory ${serve.directory}"
    ++ map (name: "--name ${name}") serve.names;
in
{
  options.services.golden-generation = {
    publish = {
      enable = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = ''
          Publish how the host stands, whenever that changes: a copy of its state for the group `golden-status` in
          `/run/golden-generation-public`, three lines for whoever logs in after a rollback, and one on the console.
          `docs/status-json.md` says what is in the copy.
        '';
      };

      textfile = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "/var/lib/prometheus-node-exporter-text-files/golden-generation.prom";
        description = ''
          Write metrics to this file, in the directory that the textfile collector of
          `services.prometheus.exporters.node` reads (`--collector.textfile.directory`). `docs/metrics.md` says what they are;
          alerts and a dashboard are in the package (`share/golden-generation`).
        '';
      };

      withOutput = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Publish what health checks printed and what the journal said, too. It may hold secrets.";
      };
    };

    serve = {
      enable = mkEnableOption "the status page, a read-only page that anybody who can reach it can read";

      listen = mkOption {
        type = types.listOf types.str;
        default = [ "127.0.0.1:9843" ];
        example = [ "127.0.0.1:9843" "[fd00::1]:9843" ];
        description = ''
          Where the page is served: addresses with a port, or paths of sockets. Whoever can reach it can read it; the firewall is
          not opened.
        '';
      };

      fleet = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "http://web1.example.org:9843" "https://status.example.org/web2/status.json" ];
        description = "Status pages of other hosts that this page shows, too. It asks each of them once a minute.";
      };

      directory = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "/var/lib/fleet-status";
        description = ''
          A directory of other hosts' `status.json` files, each named after its host (`web1.json`), however they come there. The group
          `golden-status` has to be able to read it.
        '';
      };

      names = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "status.example.org" ];
        description = ''
          Names by which a proxy on this host asks for the page. On loopback no other names are answered, because a page of
          somebody else in a browser here could point a name of its own at it.
        '';
      };
    };
  };

  config = lib.mkIf cfg.enable (lib.mkMerge [
    {
      assertions = [
        {
          assertion = publish.textfile == null || isPath publish.textfile && lib.hasSuffix ".prom" publish.textfile;
          message = ''
            services.golden-generation.publish.textfile: "${toString publish.textfile}" is not an absolute path that ends in .prom, which
            is all that the collector reads. Name a file such as /var/lib/prometheus-node-exporter-text-files/golden-generation.prom.
          '';
        }
        {
          assertion = serve.enable -> publish.enable || isFleet;
          message = ''
            services.golden-generation.serve: there is nothing to show. Set services.golden-generation.publish.enable, or name other
            hosts in services.golden-generation.serve.fleet.
          '';
        }
        {
          assertion = !lib.any (url: !isUrl url) serve.fleet;
          message = ''
            services.golden-generation.serve.fleet: ${toString (lib.filter (url: !isUrl url) serve.fleet)} is not the address of a
            status page, such as http://web1.example.org:9843.
          '';
        }
        {
          assertion = serve.directory == null || isPath serve.directory;
          message = ''
            services.golden-generation.serve.directory: "${toString serve.directory}" is not an absolute path of letters, digits and . _ + - /.
          '';
        }
        {
          assertion = !lib.any (name: !isWord "[A-Za-z0-9.-]+" name) serve.names;
          message = "services.golden-generation.serve.names: ${toString serve.names} are not names of hosts.";
        }
      ];
    }

    (lib.mkIf publish.enable {
      users.groups.golden-status = { };
      systemd.tmpfiles.rules = [ "d /run/golden-generation-public 2750 root golden-status -" ]
        # With its owner, if it is there.
        ++ lib.optional (publish.textfile != null) "d ${dirOf publish.textfile} - - - -";
      systemd.paths.golden-publish = {
        wantedBy = [ "paths.target" ];
        pathConfig = lib.mkIf (!isDefaultDir) {
          PathChanged = [
            ""
            "${cfg.stateDir}/ledger.json"
            "${cfg.stateDir}/history.jsonl"
            "/run/golden-generation/assessment.json"
          ];
        };
      };
      systemd.timers.golden-publish.wantedBy = [ "timers.target" ];
      systemd.services.golden-publish = lib.mkMerge [
        # A switch has nothing to publish that the timer does not.
        { restartIfChanged = false; }
        (lib.mkIf (!isDefaultDir) {
          unitConfig.RequiresMountsFor = [ cfg.stateDir ];
          serviceConfig.ReadWritePaths = [ "-${cfg.stateDir}" ];
        })
        (lib.mkIf (publish.textfile != null) { serviceConfig.ReadWritePaths = [ "-${dirOf publish.textfile}" ]; })
        (lib.mkIf (publishFlags != [ ]) {
          serviceConfig.ExecStart = [ "" "${cfg.package}/bin/golden publish ${flags publishFlags}" ];
        })
      ];
    })

    (lib.mkIf serve.enable {
      users.groups.golden-status = { };
      systemd.sockets.golden-serve = {
        wantedBy = [ "sockets.target" ];
        socketConfig.ListenStream = [ "" ] ++ serve.listen;
      };
      systemd.services.golden-serve.serviceConfig = lib.mkMerge [
        # The packaged unit names the default directory.
        (lib.mkIf (!isDefaultDir) { InaccessiblePaths = [ "-${cfg.stateDir}" ]; })
        (lib.mkIf (serveFlags != [ ]) {
          ExecStart = [ "" "${cfg.package}/bin/golden serve ${flags serveFlags}" ];
        })
        (lib.mkIf (serve.fleet != [ ]) {
          # It asks others.
          PrivateNetwork = false;
          RestrictAddressFamilies = [ "" "AF_INET" "AF_INET6" "AF_UNIX" ];
          # It knows more.
          MemoryMax = "1G";
        })
      ];
    })
  ]);
}
