mod scratch {
    #[test]
    fn x() {
        let flags = crate::config::Flags(vec![("config".into(), "examples/config.yaml".into())]);
        let r = crate::config::load(&flags);
        match r {
            Ok(r) => {
                println!("{:#?}", r.config);
                println!("{}", crate::config::print::table(&r.sources));
                println!("{}", crate::config::print::yaml(&r.sources));
                println!("{}", crate::config::print::json(&r.sources));
                for n in r.notices {
                    println!("{n}");
                }
            }
            Err(p) => println!("{p}"),
        }
        println!(
            "{}",
            crate::config::load(&crate::config::Flags::default()).unwrap_err()
        );
        println!("{}", crate::config::print::schema());
        println!("{}", crate::config::print::markdown());
        use clap::Args;
        println!(
            "{}",
            crate::config::RunArgs::augment_args(clap::Command::new("x")).render_help()
        );
        panic!();
    }
}
